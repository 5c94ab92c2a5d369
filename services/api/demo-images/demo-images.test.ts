import { expect, test } from "@jest/globals";
import { catalogue } from "../../../scripts/demo-catalogue.ts";
import { stubbedServices } from "../../../test/support/gateway.ts";
import { startShop } from "../../../test/support/shop.ts";
import { demoImages } from "./demo-images.ts";

test("the gateway serves every image of the demo catalogue, without scripts", async () => {
	const urls = new Set(
		catalogue.flatMap(({ images = [] }) => images.map(({ url }) => `GET ${url}`)),
	);
	expect([...urls].sort()).toEqual(Object.keys(demoImages).sort());
	const shop = await startShop({ services: ["api"], stubs: stubbedServices() });
	try {
		for (const route of urls) {
			const response = await fetch(shop.url + route.replace("GET ", ""));
			expect([response.status, response.headers.get("content-type")]).toEqual([
				200,
				"image/svg+xml",
			]);
			expect(response.headers.get("content-security-policy")).toContain("sandbox");
			expect(await response.text()).toMatch(/^<svg [^>]*viewBox="0 0 100 100"/);
		}
	} finally {
		await shop.stop();
	}
});
