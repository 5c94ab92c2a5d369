import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { catalogue } from "../../scripts/demo-catalogue.ts";
import { eventually } from "../../test/support/eventually.ts";
import { inventoryStub } from "../../test/support/gateway.ts";
import { type Shop, startShop } from "../../test/support/shop.ts";
import "./products.contract.ts";

let shop: Shop;
beforeAll(async () => {
	shop = await startShop({ services: ["products"], stubs: [inventoryStub()] });
	await shop.call("products.import", { products: catalogue });
	await eventually(async () =>
		expect(await shop.databases.query("products", "select from products_with_new_words")).toEqual(
			[],
		),
	);
});
afterAll(() => shop?.stop());

/** First results of queries, most relevant first. */
const CORRECT: readonly [q: string, ...names: string[]][] = [
	["knife", "Chef's Knife 20 cm"],
	["knives", "Chef's Knife 20 cm", "Bamboo Cutting Board"],
	["coffee", "French Press 1 l", "Stoneware Mug"],
	["mug", "Stoneware Mug"],
	["tea", "Linen Tea Towels, Pack of 3", "French Press 1 l", "Stoneware Mug"],
	["cutting board", "Bamboo Cutting Board"],
	["steel", "Chef's Knife 20 cm", "French Press 1 l", "Hand Trowel"],
	["glass", "French Press 1 l", "Digital Kitchen Scale", "Picture Frame A4"],
	["lamp", "LED Desk Lamp", "Floor Lamp"],
	["led", "LED Desk Lamp"],
	["wireless", "Wireless Headphones"],
	["headphones", "Wireless Headphones"],
	["keyboard", "Mechanical Keyboard"],
	["red", "Organic Cotton T-shirt", "Bluetooth Speaker"],
	["cotton", "Cotton Bed Linen Set", "Organic Cotton T-shirt", "Garden Gloves"],
	["bread", "Bread from Scratch"],
	["cooking", "Cooking for One", "Bread from Scratch"],
	["garden", "Garden Gloves", "The Patient Gardener", "Pruning Shears"],
	["bird", "Bird Feeder", "Birds of the City"],
	["tool", "Tool Box with 45 Tools", "Cycling Multi-tool", "Chef's Knife 20 cm"],
	["yoga", "Yoga Mat"],
	["running", "Trail Running Vest"],
	["bottle", "Insulated Bottle 750 ml", "Storage Basket"],
	["KIT-005", "Digital Kitchen Scale"],
	["CLO-001-M-RED", "Organic Cotton T-shirt"],
	["xl shirt", "Organic Cotton T-shirt"],
	["socks 39-42", "Merino Hiking Socks"],
	["power", "Power Bank 20 000 mAh", "Smart Plug, Pack of 2"],
	["music", "Songs for Small Hands"],
	["mat", "Yoga Mat", "Door Mat", "Ceramic Vase"],
];
/** First result of misspelled queries, and their corrected words. */
const MISSPELLED: readonly [q: string, corrected: string, name: string][] = [
	["knfie", "knife", "Chef's Knife 20 cm"],
	["hedphones", "headphones", "Wireless Headphones"],
	["kitchn scale", "kitchen scale", "Digital Kitchen Scale"],
	["bluetoth speaker", "bluetooth speaker", "Bluetooth Speaker"],
	["yoag mat", "yoga mat", "Yoga Mat"],
	["watercolor bascis", "watercolour basics", "Watercolour Basics"],
	["ceramc vase", "ceramic vase", "Ceramic Vase"],
	["merion socks", "merino socks", "Merino Hiking Socks"],
	["garden glovs", "garden gloves", "Garden Gloves"],
	["compst bin", "compost bin", "Compost Bin 300 l"],
];

test.each(CORRECT)("ranks the results for %s", async (q, ...names) => {
	const { rows, corrected } = await shop.call("products.list", { q, limit: 3 });
	expect(rows.map(({ name }) => name)).toEqual(names);
	expect(corrected).toBeUndefined();
});

test.each(MISSPELLED)("corrects %s to %s", async (q, words, name) => {
	const { rows, corrected } = await shop.call("products.list", { q, limit: 1 });
	expect([corrected, rows[0]?.name]).toEqual([words, name]);
});
