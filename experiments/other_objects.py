"""What captions call clothes, scenery and things that are no class of MSCOCO.

A reward that counts the objects of `dataset.coco_names` never sees these. Names are in
singular, divided by commas, as there.
"""

OTHER_OBJECTS: dict[str, str] = {
    "shirt": "t shirt, tshirt, tee, jersey, blouse, sweater, sweatshirt, tank top, "
    "vest",
    "jacket": "coat, hoodie, parka, windbreaker",
    "dress": "gown, skirt",
    "pants": "trousers, jean, pant",
    "hat": "cap, beanie, bandanna, bonnet",
    "helmet": "",
    "uniform": "costume, outfit, suit",
    "sunglasses": "sunglass, goggle, eyeglass",
    "water": "lake, ocean, sea, river, pool, pond, stream, creek, wave, puddle, "
    "fountain, waterfall, sprinkler",
    "grass": "grassy, lawn, field, meadow, yard",
    "snow": "snowy, ice, icy, ski slope, slope",
    "sand": "sandy, beach, shore, dune, desert",
    "dirt": "mud, muddy, dusty, dust",
    "rock": "rocky, boulder, stone, cliff",
    "tree": "forest, wood, wooded, log, branch",
    "mountain": "hill, hillside, peak, mountainside",
    "building": "house, city, store, shop, skyscraper, home",
    "street": "road, sidewalk, path, highway, pavement, trail, pathway",
    "wall": "brick wall",
    "fence": "railing, gate, rail",
    "bridge": "dock, pier",
    "flower": "",
    "stick": "",
    "toy": "doll, stuffed animal",
    "rope": "leash, cord, string",
    "camera": "",
    "guitar": "",
    "flag": "banner",
    "sign": "poster, billboard",
    "swing": "",
    "slide": "",
    "ramp": "",
    "hurdle": "obstacle",
}
