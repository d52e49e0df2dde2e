"""What captions call the 80 classes of MSCOCO: names in singular, divided by commas.

Our own list, not that of Rohrbach et al. 2018: scores differ a little from theirs.
"""

COCO_NAMES: dict[str, str] = {
    "person": "people, man, woman, child, boy, girl, kid, baby, toddler, infant, "
    "adult, teen, teenager, youth, lady, guy, gentleman, fellow, male, female, human, "
    "mother, father, mom, dad, son, daughter, brother, sister, husband, wife, bride, "
    "groom, friend, crowd, pedestrian, passenger, tourist, traveler, visitor, "
    "customer, shopper, worker, employee, chef, waiter, waitress, vendor, farmer, "
    "driver, pilot, soldier, officer, policeman, cop, guard, fireman, firefighter, "
    "doctor, nurse, teacher, student, player, teammate, athlete, batter, pitcher, "
    "catcher, umpire, referee, goalie, quarterback, golfer, runner, jogger, swimmer, "
    "diver, surfer, skier, snowboarder, skateboarder, skater, boarder, biker, cyclist, "
    "bicyclist, motorcyclist, rider, jockey, cowboy, hiker, climber, backpacker, "
    "walker, spectator, onlooker, singer, musician, guitarist, drummer, dancer, "
    "performer, artist, photographer, fisherman, clown, cheerleader, gymnast, "
    "wrestler, rower, kayaker, wakeboarder, businessman, businesswoman, grandmother, "
    "grandfather, someone, somebody",
    "bicycle": "bike, tricycle, unicycle",
    "car": "automobile, van, minivan, suv, sedan, jeep, taxi, cab, limousine, limo, "
    "racecar",
    "motorcycle": "motor cycle, motorbike, motor bike, dirt bike, dirtbike, moped, "
    "scooter",
    "airplane": "plane, air plane, aeroplane, aircraft, airliner, jetliner, jet, "
    "biplane",
    "bus": "schoolbus, minibus",
    "train": "locomotive, tram, trolley, streetcar, subway train, train car, train "
    "engine",
    "truck": "pickup, lorry, firetruck, semi",
    "boat": "ship, sailboat, sail boat, motorboat, speedboat, rowboat, row boat, "
    "canoe, kayak, raft, ferry, yacht, dinghy, barge, tugboat, gondola, catamaran",
    "traffic light": "traffic signal, stoplight, stop light, street light",
    "fire hydrant": "hydrant",
    "stop sign": "",
    "parking meter": "",
    "bench": "pew",
    "bird": "duck, goose, swan, gull, seagull, pigeon, dove, parrot, parakeet, owl, "
    "eagle, hawk, crow, sparrow, pelican, heron, flamingo, penguin, ostrich, peacock, "
    "finch, hummingbird, cockatoo, stork",
    "cat": "kitten, kitty, tabby",
    "dog": "puppy, pup, doggy, doggie, hound, greyhound, retriever, labrador, lab, "
    "terrier, poodle, collie, bulldog, dalmatian, dachshund, beagle, husky, shepherd, "
    "spaniel, chihuahua, corgi, rottweiler, doberman, mutt, sheepdog",
    "horse": "pony, foal, stallion, mare, colt, bronco",
    "sheep": "lamb, ram, ewe",
    "cow": "cattle, bull, calf, ox, heifer",
    "elephant": "",
    "bear": "polar bear, grizzly, panda, cub",
    "zebra": "",
    "giraffe": "",
    "backpack": "back pack, rucksack, knapsack",
    "umbrella": "parasol",
    "handbag": "hand bag, purse",
    "tie": "necktie, bow tie, bowtie",
    "suitcase": "suit case, luggage, briefcase",
    "frisbee": "flying disc, flying disk",
    "skis": "ski",
    "snowboard": "snow board",
    "sports ball": "ball",
    "kite": "",
    "baseball bat": "bat",
    "baseball glove": "mitt",
    "skateboard": "skate board",
    "surfboard": "surf board, wakeboard, bodyboard, longboard",
    "tennis racket": "racket, racquet, tennis racquet",
    "bottle": "",
    "wine glass": "goblet",
    "cup": "mug, teacup",
    "fork": "",
    "knife": "",
    "spoon": "",
    "bowl": "",
    "banana": "",
    "apple": "",
    "sandwich": "burger, hamburger, cheeseburger",
    "orange": "",
    "broccoli": "",
    "carrot": "",
    "hot dog": "hotdog, chili dog",
    "pizza": "",
    "donut": "doughnut",
    "cake": "cupcake, cheesecake, carrot cake",
    "chair": "armchair, stool, recliner",
    "couch": "sofa, loveseat, love seat, futon",
    "potted plant": "houseplant, house plant",
    "bed": "",
    "dining table": "table, desk",
    "toilet": "toilet seat",
    "tv": "television, television set, monitor",
    "laptop": "computer, laptop computer, apple computer, netbook, macbook, mac book",
    "mouse": "computer mouse",
    "remote": "remote control, controller",
    "keyboard": "computer keyboard",
    "cell phone": "phone, cellphone, mobile phone, smartphone, smart phone",
    "microwave": "microwave oven",
    "oven": "stove, stovetop, stove top, stove top oven",
    "toaster": "toaster oven",
    "sink": "washbasin",
    "refrigerator": "fridge, freezer",
    "book": "textbook, notebook",
    "clock": "clock tower",
    "vase": "",
    "scissors": "",
    "teddy bear": "teddy, stuffed bear, stuffed animal",
    "hair drier": "hair dryer, hairdryer, blow dryer",
    "toothbrush": "tooth brush",
}
# They mean no object of these, though they hold a name or follow a qualifier.
NO_OBJECTS = (
    "train track, train station, bus stop, bus station, boat dock, car seat, cable "
    "car, phone booth, table tennis, ping pong table, table cloth, book shelf, book "
    "case, bed room, bird house, bird bath, dog house, toilet paper, oven mitt, ball "
    "cap, ball game, ball field, ball park, ball gown, chair lift, ski lift, ski "
    "slope, ski pole, ski resort, ski jump, ski goggle, ski mask, ski suit, jet ski, "
    "hot tub, ski jacket, mp3 player, dvd player, record player, hello kitty, home "
    "plate, animal, lion, tiger, monkey, deer, goat, pig"
)
# Alone it is most often a colour; of captions only its plural is the fruit.
PLURAL_ONLY = ("orange",)
# They say of what kind the next object is: a baby elephant, a passenger train.
QUALIFIERS = ("baby", "adult", "mother", "father", "male", "female", "passenger")
