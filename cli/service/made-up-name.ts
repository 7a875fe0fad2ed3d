// Names for services that were given none: an adjective and something from the sea.
import { type Rng, randomInt } from '../../lib/rng.ts';

const ADJECTIVES =
  'agile amber ample brave breezy bright brisk calm candid clever coastal coral cosy crisp daring deft drifting eager early fabled fair fleet fluent foamy frosty gentle gleaming glossy golden graceful handy hardy hidden humble jolly keen kindly lively lucid lucky mellow merry mighty misty nimble noble patient placid playful polished proud quick quiet rapid ready roving salty serene sharp silent silver sleek sly smooth snug spry steady stout sunny swift tidal tidy tranquil trusty vivid wandering warm wavy wily windy wise witty zesty'.split(
    ' ',
  );
const SEA =
  'anchovy barnacle barracuda bass beluga blenny bluefin bream brill capelin catfish char clam cobia cod conch coral crab cuttlefish dab dolphin dory dugong eel flounder gannet garfish goby grouper grunion guppy gurnard haddock hake halibut herring isopod kelp kingfish krill lamprey limpet ling lobster mackerel manatee manta marlin medusa minnow mullet mussel narwhal nautilus octopus orca osprey otter oyster perch pike pilchard plaice plover pollock pompano porpoise prawn puffin ray remora sardine scallop seahorse seal shrimp skate smelt snapper sole sprat squid starfish sturgeon sunfish tarpon tern tetra trout tuna turbot turtle urchin wahoo walrus whelk whiting wrasse'.split(
    ' ',
  );

/** "brisk_herring": some ten thousand of them; a name already taken is refused by the manager like any other. */
export function madeUpName(rng: Rng): string {
  return `${pick(ADJECTIVES, rng)}_${pick(SEA, rng)}`;
}

function pick(words: readonly string[], rng: Rng): string {
  return words[randomInt(rng, words.length)] ?? '';
}
