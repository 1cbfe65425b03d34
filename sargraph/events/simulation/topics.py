"""The simulator's language: groups of topics, four sub-topics each, three words a sub-topic."""

from __future__ import annotations

WORDS_PER_SUBTOPIC = 3
SUBTOPICS_PER_TOPIC = 4
WORDS_PER_TOPIC = WORDS_PER_SUBTOPIC * SUBTOPICS_PER_TOPIC

_GROUPS = {
    "food": {
        "cooking": (
            "noodle ramen broth / curry masala lentil /"
            " steak grill marinade / salad avocado dressing"
        ),
        "baking": (
            "sourdough loaf yeast / cupcake frosting sprinkles /"
            " croissant pastry butter / pizza dough mozzarella"
        ),
        "coffee": (
            "espresso barista crema / latte foam milk /"
            " roast beans grinder / pourover filter kettle"
        ),
    },
    "outdoors": {
        "hiking": (
            "summit ridge altitude / forest trail waterfall /"
            " tent campfire backpack / compass map canyon"
        ),
        "fishing": ("trout river fly / carp pond bait / tuna boat reel / salmon net stream"),
        "cycling": (
            "gravel saddle pannier / sprint peloton derailleur /"
            " downhill suspension helmet / commute ebike bell"
        ),
    },
    "sports": {
        "football": (
            "striker goal header / goalkeeper gloves penalty /"
            " midfield pass dribble / stadium derby fans"
        ),
        "tennis": (
            "serve ace racket / clay rally slide / volley lob smash / wimbledon grass umpire"
        ),
        "swimming": (
            "freestyle lap goggles / butterfly stroke kick /"
            " diving springboard somersault / ocean wave wetsuit"
        ),
    },
    "music": {
        "jazz": (
            "trumpet improvisation bebop / saxophone ballad quartet /"
            " swing bigband dance / bass groove vinyl"
        ),
        "guitar": (
            "chord strum acoustic / riff distortion amplifier /"
            " fingerpicking flamenco nylon / solo pentatonic blues"
        ),
        "opera": (
            "soprano aria coloratura / tenor duet serenade /"
            " orchestra overture conductor / libretto costume premiere"
        ),
    },
    "arts": {
        "painting": (
            "watercolour brush wash / oil canvas portrait /"
            " mural spray graffiti / sketch charcoal pencil"
        ),
        "photography": (
            "lens aperture bokeh / landscape sunrise tripod /"
            " street candid monochrome / macro insect flash"
        ),
        "pottery": (
            "wheel bowl throwing / glaze kiln firing /"
            " vase porcelain celadon / sculpture figurine terracotta"
        ),
    },
    "home": {
        "gardening": (
            "tomato seedling greenhouse / rose pruning thorn /"
            " compost soil worm / bonsai maple wiring"
        ),
        "carpentry": (
            "dovetail chisel joint / table oak varnish /"
            " shelf bracket drill / lathe spindle turning"
        ),
        "dogs": (
            "puppy leash training / retriever fetch ball / grooming shears poodle / sled husky snow"
        ),
    },
    "science": {
        "astronomy": (
            "telescope nebula galaxy / moon crater eclipse / rocket launch orbit / mars rover dust"
        ),
        "dinosaurs": (
            "tyrannosaurus jaw predator / triceratops horn herbivore /"
            " fossil excavation bone / pterosaur wing cliff"
        ),
        "robots": (
            "drone propeller gimbal / arm gripper welding /"
            " humanoid balance gait / sensor lidar mapping"
        ),
    },
    "leisure": {
        "chess": (
            "opening gambit sicilian / endgame pawn rook /"
            " blitz clock tournament / puzzle checkmate knight"
        ),
        "theatre": (
            "puppet marionette shadow / musical broadway chorus /"
            " improv comedy audience / shakespeare tragedy monologue"
        ),
        "travel": (
            "island snorkel hammock / temple lantern pilgrimage /"
            " railway sleeper station / desert camel dune"
        ),
    },
}

_STYLES = {
    "calm": "gentle quiet slow cosy relaxing peaceful",
    "bold": "wild extreme daring fierce epic intense",
    "thrifty": "cheap budget simple easy quick frugal",
    "lavish": "luxury grand elegant golden royal exclusive",
    "vintage": "classic retro antique traditional rustic nostalgic",
    "modern": "smart digital minimal sleek futuristic urban",
    "playful": "funny silly cute colourful cheerful quirky",
    "expert": "advanced precise technical professional complete detailed",
}

_NOUNS = (
    "guide tips lesson review story ideas secrets challenge "
    "tutorial basics mistakes tricks journey diary tour marathon"
)

NOUNS: tuple[str, ...] = tuple(_NOUNS.split())
"""Words any title may end with; they say nothing about the topic."""

TOPICS: tuple[str, ...] = tuple(topic for topics in _GROUPS.values() for topic in topics)
"""Names of the topics (the second category level), in row order."""

GROUPS: tuple[str, ...] = tuple(_GROUPS)
"""Names of the topic groups (the first category level)."""

GROUP_OF_TOPIC: tuple[int, ...] = tuple(
    place for place, topics in enumerate(_GROUPS.values()) for _ in topics
)
"""The place in GROUPS of each topic."""

TOPIC_WORDS: tuple[str, ...] = tuple(
    word
    for topics in _GROUPS.values()
    for line in topics.values()
    for word in line.replace("/", " ").split()
)
"""All topic words: word w belongs to sub-topic w // 3 and to topic w // 12."""

ADJECTIVES: tuple[str, ...] = tuple(word for line in _STYLES.values() for word in line.split())
"""Words shared by all topics: adjective a belongs to style a // 6."""

NUM_STYLES = len(_STYLES)
ADJECTIVES_PER_STYLE = len(ADJECTIVES) // NUM_STYLES


def vocabulary(num_topics: int) -> tuple[str, ...]:
    """Every term of a world with the first `num_topics` topics: topic words, adjectives, nouns."""
    return TOPIC_WORDS[: num_topics * WORDS_PER_TOPIC] + ADJECTIVES + NOUNS
