import { expect, test } from "@jest/globals";
import { cartShop } from "./test/cart-shop.ts";

const shop = cartShop({ RATE_LIMIT_ENABLED: "true", RATE_LIMIT_STRICT_PER_MINUTE: "5" });

test("guests of an address can try few coupon codes and cards", async () => {
	const { id, buyer, checkout } = await shop.guestCart();
	const accepted = await checkout({ expected_total: 1 });
	expect(accepted.body.code).toBe("PRICE_CHANGED");
	for (const code of ["GUESS-1", "GUESS-2"])
		expect((await shop.patch(id, buyer, { coupon_codes: [code] })).body.code).toBe(
			"COUPON_UNKNOWN",
		);
	shop.orders.outcome = "PAYMENT_DECLINED";
	for (let n = 0; n < 3; n++) expect((await checkout()).body.code).toBe("PAYMENT_DECLINED");
	const refused = await checkout();
	expect([refused.status, refused.body.code]).toEqual([429, "RATE_LIMITED"]);
	expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);

	// An account at the same address is not affected.
	shop.orders.outcome = "confirmed";
	expect((await (await shop.userCart()).checkout()).status).toBe(201);
});
