import type { Input } from "../lib/contracts/schema.ts";
import type { products } from "../services/products/products.contract.ts";

type NewProduct = Input<typeof products.actions.import.params>["products"][number];
type Line = [name: string, price: number, stock: number, description: string];

type Attributes = NonNullable<NewProduct["attributes"]>;
/** Subcategory and attributes of a product. */
type Details = readonly [category: string, attributes: Attributes];

/**
 * The products of one category. A SKU consists of the category's letters and the position in the
 * list.
 */
const shelf = (category: string, letters: string, lines: readonly Line[]): NewProduct[] =>
	lines.map(([name, price, stock, description], i) => {
		const sku = `${letters}-${String(i + 1).padStart(3, "0")}`;
		const [subcategory, attributes] = details[sku]!;
		return {
			name,
			description,
			price,
			category: `${category}/${subcategory}`,
			attributes,
			images: imagesOf(category, name),
			sku,
			stock,
		};
	});
/** The gateway serves one image for each category of the first level. */
const imagesOf = (category: string, alt: string) => [
	{ url: `/images/${category.toLowerCase()}.svg`, alt },
];

/** Clothes with a variant for each size and color. Size XL costs more. */
function garment(
	sku: string,
	[name, price, description]: [name: string, price: number, description: string],
	[category, attributes]: Details,
	options: { readonly size: readonly string[]; readonly color: readonly string[] },
): NewProduct {
	const variants = options.size.flatMap((size) =>
		options.color.map((color) => ({
			options: { size, color },
			sku: `${sku}-${size}-${color}`.toUpperCase().replaceAll(" ", "-"),
			stock: 25,
			...(size === "XL" ? { price: price + 3 } : {}),
		})),
	);
	return {
		name,
		description,
		price,
		category: `Clothes/${category}`,
		attributes,
		images: imagesOf("Clothes", name),
		sku,
		option_names: Object.keys(options),
		variants,
	};
}

const details: Readonly<Record<string, Details>> = {
	"KIT-001": ["Cookware/Pans", { material: "iron", diameter: 26, dishwasher: false }],
	"KIT-002": ["Tools/Knives", { material: "steel", length: 20, dishwasher: false }],
	"KIT-003": ["Tools/Boards", { material: "bamboo", dishwasher: false }],
	"KIT-004": [
		"Coffee and Tea/Makers",
		{ material: ["glass", "steel"], volume: 1, dishwasher: true },
	],
	"KIT-005": ["Tools/Scales", { material: "glass", dishwasher: false }],
	"KIT-006": ["Coffee and Tea/Mugs", { material: "stoneware", volume: 0.35, dishwasher: true }],
	"KIT-007": ["Cookware/Pots", { material: "enamel", volume: 6, dishwasher: true }],
	"KIT-008": ["Tools/Spatulas", { material: "silicone", dishwasher: true }],
	"KIT-009": ["Tools/Mills", { material: ["wood", "ceramic"], dishwasher: false }],
	"KIT-010": ["Textiles/Towels", { material: "linen", color: "natural" }],
	"ELE-001": ["Audio/Headphones", { wireless: true, color: "black" }],
	"ELE-002": ["Computers/Adapters", { wireless: false, ports: 7 }],
	"ELE-003": ["Computers/Keyboards", { wireless: false, color: "gray" }],
	"ELE-004": ["Computers/Mice", { wireless: true, color: "black" }],
	"ELE-005": ["Computers/Storage", { capacity: 1000, color: "blue" }],
	"ELE-006": ["Power/Batteries", { capacity: 20_000, color: "black" }],
	"ELE-007": ["Lighting/Lamps", { color: "white", dimmable: true }],
	"ELE-008": ["Power/Plugs", { wireless: true, color: "white" }],
	"ELE-009": ["Audio/Speakers", { wireless: true, color: "red" }],
	"ELE-010": ["Computers/Webcams", { resolution: "1080p", color: "black" }],
	"BOO-001": ["Fiction/Novels", { language: "English", format: "hardcover" }],
	"BOO-002": ["Nonfiction/Cooking", { language: "English", format: "hardcover" }],
	"BOO-003": ["Nonfiction/History", { language: "English", format: "paperback" }],
	"BOO-004": ["Nonfiction/Computing", { language: "English", format: "paperback" }],
	"BOO-005": ["Nonfiction/Nature", { language: "English", format: "paperback" }],
	"BOO-006": ["Nonfiction/Nature", { language: "English", format: "hardcover" }],
	"BOO-007": ["Fiction/Crime", { language: "English", format: "paperback" }],
	"BOO-008": ["Nonfiction/Art", { language: "English", format: "paperback" }],
	"BOO-009": ["Children/Music", { language: ["English", "French"], format: "hardcover" }],
	"BOO-010": ["Nonfiction/Cooking", { language: "English", format: "paperback" }],
	"GAR-001": ["Tools/Shears", { material: "steel" }],
	"GAR-002": ["Watering/Cans", { material: "metal", volume: 9, color: "green" }],
	"GAR-003": ["Plants/Seeds", { organic: true }],
	"GAR-004": ["Beds and Bins/Beds", { material: "wood" }],
	"GAR-005": ["Tools/Gloves", { material: ["cotton", "leather"] }],
	"GAR-006": ["Decoration/Lights", { material: "metal", solar: true }],
	"GAR-007": ["Beds and Bins/Bins", { material: "plastic", volume: 300, color: "green" }],
	"GAR-008": ["Tools/Trowels", { material: ["steel", "wood"] }],
	"GAR-009": ["Decoration/Baskets", { material: "metal" }],
	"GAR-010": ["Decoration/Birds", { material: "wood" }],
	"SPO-001": ["Fitness/Mats", { color: "blue" }],
	"SPO-002": ["Fitness/Weights", { material: "iron", weight: 20 }],
	"SPO-003": ["Running/Vests", { color: "orange", weight: 0.3 }],
	"SPO-004": ["Fitness/Ropes", { color: "black" }],
	"SPO-005": ["Cycling/Tools", { material: "steel" }],
	"SPO-006": ["Outdoor/Bottles", { material: "steel", volume: 0.75, color: "green" }],
	"SPO-007": ["Outdoor/Tents", { persons: 2, color: "green" }],
	"SPO-008": ["Fitness/Massage", { color: "gray" }],
	"SPO-009": ["Swimming/Goggles", { color: "blue" }],
	"SPO-010": ["Climbing/Chalk", { weight: 0.25 }],
	"HOM-001": ["Bedroom/Blankets", { material: "wool", color: "gray" }],
	"HOM-002": ["Decoration/Candles", { scent: "cedar" }],
	"HOM-003": ["Decoration/Clocks", { diameter: 30, color: "white" }],
	"HOM-004": ["Bedroom/Bed Linen", { material: "cotton", color: "white" }],
	"HOM-005": ["Storage/Baskets", { material: "rattan", color: "natural" }],
	"HOM-006": ["Decoration/Frames", { material: "wood", color: "black" }],
	"HOM-007": ["Lighting/Lamps", { color: "black", dimmable: true }],
	"HOM-008": ["Entrance/Mats", { material: "coir", color: "natural" }],
	"HOM-009": ["Decoration/Vases", { material: "ceramic", color: "white" }],
	"HOM-010": ["Workshop/Tools", { material: "steel" }],
};

/** Demo products of a first start. Some are scarce and one is sold out, to show these states. */
export const catalogue: NewProduct[] = [
	...shelf("Kitchen", "KIT", [
		[
			"Cast Iron Skillet 26 cm",
			39.9,
			120,
			"Pre-seasoned and heavy, for the stove, the oven and the camp fire. " +
				"Gets better with every steak.",
		],
		[
			"Chef's Knife 20 cm",
			64.5,
			80,
			"A forged blade of stainless steel with a full tang. " +
				"Balanced well enough to chop all evening.",
		],
		[
			"Bamboo Cutting Board",
			24.95,
			200,
			"Large and quick to dry, with a groove that catches the juice. Kind to the edges of knives.",
		],
		[
			"French Press 1 l",
			29,
			150,
			"Borosilicate glass in a steel frame, for eight small cups of coffee. " +
				"The fine double sieve keeps the grounds out.",
		],
		[
			"Digital Kitchen Scale",
			19.99,
			300,
			"Weighs up to 5 kg to the gram. The glass plate wipes clean in a second.",
		],
		[
			"Stoneware Mug",
			9.5,
			500,
			"Holds 350 ml and keeps warm for long. Each one is glazed by hand, so no two are the same.",
		],
		[
			"Enamel Stock Pot 6 l",
			54,
			60,
			"For soup, pasta and jam in good amounts. Suits every stove, induction included.",
		],
		[
			"Silicone Spatula Set",
			12.49,
			400,
			"Three spatulas that stand 230 °C and leave nothing in the bowl. Safe in the dishwasher.",
		],
		[
			"Pepper Mill",
			34.9,
			90,
			"Beech wood around a ceramic grinder that never dulls. From coarse to fine in half a turn.",
		],
		[
			"Linen Tea Towels, Pack of 3",
			21,
			0,
			"Woven densely and washed soft before they leave the mill. " +
				"They dry glasses without a trace of lint.",
		],
	]),
	...shelf("Electronics", "ELE", [
		[
			"Wireless Headphones",
			129,
			75,
			"Closed headphones with active noise cancelling and 40 hours of battery. " +
				"They fold flat for travelling.",
		],
		[
			"USB-C Hub 7-in-1",
			44.9,
			180,
			"Adds HDMI, Ethernet, two card slots and three USB ports to a laptop. " +
				"Charges it meanwhile with up to 100 W.",
		],
		[
			"Mechanical Keyboard",
			99.95,
			55,
			"Compact layout, quiet tactile switches and keycaps that do not wear off. " +
				"The cable comes off for transport.",
		],
		[
			"Ergonomic Mouse",
			39,
			140,
			"Held like a handshake, it lets the wrist rest. " +
				"Works over radio or Bluetooth on three devices.",
		],
		[
			"Portable SSD 1 TB",
			94.5,
			110,
			"Moves a film in seconds and survives a fall from the desk. No bigger than a bank card.",
		],
		[
			"Power Bank 20 000 mAh",
			34.99,
			220,
			"Charges a phone four times, and two devices at once. A small display says how much is left.",
		],
		[
			"LED Desk Lamp",
			49,
			130,
			"Warm or cold light at a touch, in five steps, " +
				"with no flicker. The arm stays where it is put.",
		],
		[
			"Smart Plug, Pack of 2",
			24.9,
			260,
			"Switches by schedule or from afar and measures what the device uses. " +
				"Works in the home network, without a cloud.",
		],
		[
			"Bluetooth Speaker",
			59.9,
			95,
			"Small enough for a rucksack and loud enough for a picnic. Dust and rain do not harm it.",
		],
		[
			"Webcam 1080p",
			54,
			3,
			"A sharp picture even in poor light, and a shutter for when nobody should look. " +
				"Two microphones leave the street out.",
		],
	]),
	...shelf("Books", "BOO", [
		[
			"The Lighthouse Keeper's Atlas",
			22,
			140,
			"A novel about a woman who draws the coast that nobody else can see. " +
				"Quiet, odd and hard to put down.",
		],
		[
			"Bread from Scratch",
			27.5,
			100,
			"Sixty loaves with flour, water, salt and time. " +
				"Begins with the first starter and ends with a holiday braid.",
		],
		[
			"A Short History of Maps",
			18.9,
			85,
			"How people have drawn the world, and what they left out. With 120 plates in color.",
		],
		[
			"Distributed Systems by Example",
			44,
			65,
			"Consensus, clocks and queues, each explained by a program of one page. " +
				"With exercises and their answers.",
		],
		[
			"Birds of the City",
			16.95,
			160,
			"A field guide to the ninety birds that live between houses. " +
				"Drawn from life and sorted by what one hears first.",
		],
		[
			"The Patient Gardener",
			24,
			120,
			"What to do in each month of the year, and what to leave alone. " +
				"For balconies as much as for orchards.",
		],
		[
			"Midnight on Platform Nine",
			12.99,
			210,
			"A crime story in seven train rides. The inspector is afraid of tunnels.",
		],
		[
			"Watercolour Basics",
			19.5,
			90,
			"Twelve lessons from the first wash to a finished landscape. Every step is shown.",
		],
		[
			"Songs for Small Hands",
			14,
			75,
			"Forty easy pieces for the piano, in large print. Five can be played after the first week.",
		],
		[
			"Cooking for One",
			17.9,
			130,
			"A hundred dinners without left-overs, most of them in one pan. " +
				"None takes longer than half an hour.",
		],
	]),
	...shelf("Garden", "GAR", [
		[
			"Pruning Shears",
			27.9,
			170,
			"A bypass blade for branches up to 22 mm, " +
				"with a spring that does not pinch. Every part can be replaced.",
		],
		[
			"Watering Can 9 l",
			32,
			110,
			"Galvanised steel with a brass rose that rains softly. Balanced to be carried full.",
		],
		[
			"Tomato Seeds, Mixed",
			4.5,
			600,
			"Five old varieties from yellow to nearly black. Enough for a bed or a very full balcony.",
		],
		[
			"Raised Bed Kit",
			89,
			40,
			"Larch boards that click together without tools, " +
				"120 by 80 cm. Lasts ten years without paint.",
		],
		[
			"Garden Gloves",
			11.9,
			350,
			"Thin enough to feel a seedling and tough enough for roses. Washable, in three sizes.",
		],
		[
			"Solar Path Lights, Set of 6",
			36.5,
			95,
			"They charge by day and glow until morning. The stake goes into lawn and gravel alike.",
		],
		[
			"Compost Bin 300 l",
			64.9,
			35,
			"Keeps warm, keeps rats out and opens on all four sides. Made of recycled plastic.",
		],
		[
			"Hand Trowel",
			13.5,
			280,
			"One piece of forged steel with an ash handle. The scale on the blade tells how deep it is.",
		],
		[
			"Hanging Basket",
			18,
			125,
			"Woven from willow, with a liner that holds water. For strawberries, herbs or flowers.",
		],
		[
			"Bird Feeder",
			23.9,
			5,
			"Cedar, with a roof that keeps the seed dry. Squirrels have to try elsewhere.",
		],
	]),
	...shelf("Sports", "SPO", [
		[
			"Yoga Mat",
			34,
			190,
			"Natural rubber of 5 mm that grips on both sides. Rolls up small, with a strap.",
		],
		[
			"Adjustable Dumbbell 20 kg",
			119,
			45,
			"From 2 to 20 kilograms with one turn of the handle. Takes the room of one instead of ten.",
		],
		[
			"Trail Running Vest",
			69.5,
			60,
			"Carries two soft flasks, a jacket and a map without bouncing. Weighs less than an apple.",
		],
		[
			"Skipping Rope",
			12.9,
			320,
			"A steel rope on ball bearings, cut to any length. For warming up or for double jumps.",
		],
		[
			"Cycling Multi-tool",
			26,
			140,
			"Fourteen tools and a chain breaker in a pocket's space. Hardened steel throughout.",
		],
		[
			"Insulated Bottle 750 ml",
			29.9,
			240,
			"Cold for a day and hot for half of one. The lid opens with one hand.",
		],
		[
			"Two-person Tent",
			189,
			25,
			"Stands in four minutes and keeps dry in a night of rain. Packs to 2.1 kg.",
		],
		[
			"Foam Roller",
			22.5,
			150,
			"Firm, with a surface like fingers, for legs and back after training. " +
				"Does not lose its shape.",
		],
		[
			"Swimming Goggles",
			17.95,
			200,
			"Wide lenses without fog and a seal that leaves no marks. The strap adjusts in the water.",
		],
		[
			"Climbing Chalk 250 g",
			8.9,
			380,
			"Pure magnesium carbonate, half powder and half small blocks. In a bag that closes again.",
		],
	]),
	...shelf("Home", "HOM", [
		[
			"Wool Blanket",
			79,
			70,
			"Woven from new wool, 140 by 200 cm, with a fringe. Warm without being heavy.",
		],
		[
			"Scented Candle, Cedar",
			16.5,
			260,
			"Rapeseed wax with the smell of a forest after rain. Burns for forty hours.",
		],
		[
			"Wall Clock 30 cm",
			42,
			80,
			"A plain dial that can be read from across the room. The movement makes no sound.",
		],
		[
			"Cotton Bed Linen Set",
			69.9,
			90,
			"Percale from organic cotton, smooth and cool. " +
				"A duvet cover of 135 by 200 cm and a pillowcase.",
		],
		[
			"Storage Basket",
			19.9,
			175,
			"Felt made of old bottles, with handles of leather. Holds firewood, toys or newspapers.",
		],
		[
			"Picture Frame A4",
			14.9,
			300,
			"Oak with real glass, to hang or to stand. The back opens without tools.",
		],
		[
			"Floor Lamp",
			99,
			50,
			"A linen shade on three legs of ash. The dimmer is where the hand finds it in the dark.",
		],
		[
			"Door Mat",
			27,
			160,
			"Coir that scrapes the mud off, on a back that stays in place. To be shaken and forgotten.",
		],
		[
			"Ceramic Vase",
			33.5,
			65,
			"A narrow neck for one branch, matt white outside and glazed within. " +
				"Holds water without a ring.",
		],
		[
			"Tool Box with 45 Tools",
			74.9,
			2,
			"All that is needed to hang, mend and assemble at home. Each tool has its place.",
		],
	]),
	garment(
		"CLO-001",
		["Organic Cotton T-shirt", 24.9, "Soft and heavy enough to keep its shape after many washes."],
		["Tops/T-shirts", { material: "cotton", organic: true }],
		{ size: ["S", "M", "L", "XL"], color: ["white", "navy", "red"] },
	),
	garment(
		"CLO-002",
		["Rain Jacket", 89, "Keeps out wind and heavy rain, and packs into its own pocket."],
		["Outerwear/Jackets", { material: "polyester", waterproof: true }],
		{ size: ["S", "M", "L"], color: ["yellow", "navy"] },
	),
	garment(
		"CLO-003",
		["Merino Hiking Socks", 17.5, "Padded heel and toe, warm in winter and dry in summer."],
		["Accessories/Socks", { material: "merino" }],
		{ size: ["36-38", "39-42", "43-46"], color: ["gray", "olive"] },
	),
];
