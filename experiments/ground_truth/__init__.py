"""Explanations scored where it is known what every word rests on."""
