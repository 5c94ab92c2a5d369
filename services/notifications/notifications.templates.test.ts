import { expect, test } from "@jest/globals";
import {
	cancellationReason,
	render,
	type Template,
	type TemplateData,
	templatesWithSubject,
} from "./notifications.templates.ts";

const order = {
	order_id: "019a0000-0000-7000-8000-000000000001",
	total_amount: 1234.5,
	currency: "EUR",
};
const samples: { [T in Template]: TemplateData[T] } = {
	welcome: { link: "https://shop.example.com/verify-email?token=abc" },
	verify_email: { link: "https://shop.example.com/verify-email?token=abc" },
	password_reset: { link: "https://shop.example.com/password-reset?token=abc" },
	email_change: { change_id: 1, link: "https://shop.example.com/email-change?token=abc" },
	email_change_notice: {
		change_id: 1,
		link: "https://shop.example.com/email-change/undo?token=abc",
	},
	order_confirmed: order,
	order_shipped: order,
	order_delivered: order,
	order_cancelled: { ...order, reason: "OUT_OF_STOCK" },
	late_payment_refunded: order,
};

test.each(Object.keys(samples) as Template[])(
	"%s contains the name and equal content in text and HTML",
	(template) => {
		const { subject, text, html } = render(template, samples[template], "Grace");
		expect(subject).not.toBe("");
		expect(text).toContain("Hello Grace,");
		const plain = html
			.replace(/<title>.*<\/title>/, "")
			.replace(/<[^>]+>/g, "")
			.replaceAll("&#39;", "'");
		expect(plain.replace(/\s+/g, " ").trim()).toBe(text.replace(/\s+/g, " ").trim());
	},
);

test("HTML escapes every value", () => {
	const malicious = `<script>alert(1)</script>"'&`;
	const mails = [
		render(
			"order_cancelled",
			{ order_id: malicious, total_amount: 1, currency: malicious, reason: malicious },
			malicious,
		),
		render("welcome", { link: `https://shop.example.com/"><img src=x>` }, malicious),
	];
	for (const { html } of mails) {
		expect(html).not.toMatch(/<script|<img/);
		expect(html).toContain("Hello &lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;,");
	}
	expect(mails[0]!.text).toContain(malicious);
});

test("subject and greeting contain no line breaks", () => {
	const malicious = "1\r\nBcc: attacker@example.com";
	const { subject, text } = render("order_shipped", { ...order, order_id: malicious }, malicious);
	expect(subject).not.toMatch(/[\r\n]/);
	expect(text.split("\n")[0]).toBe("Hello 1 Bcc: attacker@example.com,");
});

test("formats amounts in their currency, also if its code is unknown", () => {
	const amountIn = (currency: string) => render("order_confirmed", { ...order, currency }, "").text;
	expect(amountIn("EUR")).toContain("€1,234.50");
	expect(amountIn("JPY")).toContain("¥1,235");
	expect(amountIn("BHD")).toContain("BHD\u00a01,234.500");
	expect(amountIn("points")).toContain("1234.50 points");
});

test("translates reason codes and hides unknown ones", () => {
	expect(cancellationReason("PAYMENT_DECLINED")).toBe("the payment was declined");
	expect(cancellationReason("SOME_NEW_CODE")).toBe("it could not be completed");
	expect(cancellationReason("Ordered twice by mistake.")).toBe("Ordered twice by mistake");
	expect(cancellationReason("constructor")).toBe("constructor");
});

const templatesWithLink = [
	"welcome",
	"verify_email",
	"password_reset",
	"email_change",
	"email_change_notice",
] as const;
test.each(templatesWithLink)("%s without its link refers to the mailed message", (template) => {
	const { text } = render(template, { change_id: 1 }, "");
	expect(text).not.toContain("http");
	expect(text).toContain("only in the message that was mailed to you");
});

test("a message to an unverified recipient contains no text that a user entered", () => {
	const malicious = "http://phish.example click here";
	const { text, html } = render("order_cancelled", { ...order, reason: malicious });
	expect(`${text} ${html}`).not.toContain("phish");
	expect(text).toContain("it could not be completed");
	expect(text.split("\n")[0]).toBe("Hello,");
	expect(render("order_cancelled", { ...order, reason: "PAYMENT_DECLINED" }).text).toContain(
		"the payment was declined",
	);
});

test("email_change states that the new address has an account, and contains no link", () => {
	const { text, subject } = render("email_change", { change_id: 1, taken: true });
	expect(text).toContain("This address already has an account.");
	expect(text).not.toContain("http");
	expect(subject).toBe(render("email_change", samples.email_change).subject);
});

test.each([
	["HAS shipped", ["order_shipped"]],
	["order", expect.arrayContaining(["order_confirmed", "late_payment_refunded"])],
	["welcome to", ["welcome"]],
	["019a", []],
])("the subjects with %p are those of %p", (text, templates) => {
	expect(templatesWithSubject(text)).toEqual(templates);
});
