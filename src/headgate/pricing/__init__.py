"""Prices: from what was used to what it cost, exactly. Pure; a price is not a payment.

units.py      the units that things are sold in, and how a Usage is counted in them
price.py      Price: the rates of one model at one moment, as a plan of disjoint counts for the terms that apply
matching.py   names that are described rather than listed
dated.py      one model of the book: its names, and its rates by date and time of day
book.py       PriceBook: which price holds for a provider's model at a moment
cost.py       cost(): a Usage to a Cost of exact lines; worst_case() and prompt_cost(): what is known before
markup.py     what is charged beyond cost
overrides.py  the operator's own prices and mark-ups, as the configuration has them
genai.py      a book from the data of genai-prices
litellm.py    a book from LiteLLM's JSON
merging.py    two books to one, and what differs between them
sane.py       rates that cannot be right
data/         the packaged book, made by tools/make_prices.py
"""
