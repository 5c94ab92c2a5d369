import { expect, test } from "@jest/globals";
import { inWords, render, type Template, type TemplateData } from "./notifications.templates.ts";

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
};

test.each(Object.keys(samples) as Template[])(
	"%s greets by name and says the same in text and HTML",
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

test("no value gets markup into the HTML", () => {
	const evil = `<script>alert(1)</script>"'&`;
	const mails = [
		render(
			"order_cancelled",
			{ order_id: evil, total_amount: 1, currency: evil, reason: evil },
			evil,
		),
		render("welcome", { link: `https://shop.example.com/"><img src=x>` }, evil),
	];
	for (const { html } of mails) {
		expect(html).not.toMatch(/<script|<img/);
		expect(html).toContain("Hello &lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;,");
	}
	expect(mails[0]!.text).toContain(evil);
});

test("no value gets a line break into the subject or the greeting", () => {
	const evil = "1\r\nBcc: everybody@example.com";
	const { subject, text } = render("order_shipped", { ...order, order_id: evil }, evil);
	expect(subject).not.toMatch(/[\r\n]/);
	expect(text.split("\n")[0]).toBe("Hello 1 Bcc: everybody@example.com,");
});

test("amounts are written in their currency, and one that is none is still legible", () => {
	const amountIn = (currency: string) => render("order_confirmed", { ...order, currency }, "").text;
	expect(amountIn("EUR")).toContain("€1,234.50");
	expect(amountIn("JPY")).toContain("¥1,235");
	expect(amountIn("points")).toContain("1234.50 points");
});

test("reasons are told in words, and codes that nobody knows stay inside", () => {
	expect(inWords("PAYMENT_DECLINED")).toBe("the payment was declined");
	expect(inWords("SOME_NEW_CODE")).toBe("it could not be completed");
	expect(inWords("Ordered twice by mistake.")).toBe("Ordered twice by mistake");
	expect(inWords("constructor")).toBe("constructor");
});

const linked = [
	"welcome",
	"verify_email",
	"password_reset",
	"email_change",
	"email_change_notice",
] as const;
test.each(linked)("without its link %s says where the link is", (template) => {
	const { text } = render(template, { change_id: 1 }, "");
	expect(text).not.toContain("http");
	expect(text).toContain("only in the message that was mailed to you");
});

test("without a verified recipient a message has no words of a user in it", () => {
	const evil = "http://phish.example click here";
	const { text, html } = render("order_cancelled", { ...order, reason: evil });
	expect(`${text} ${html}`).not.toContain("phish");
	expect(text).toContain("it could not be completed");
	expect(text.split("\n")[0]).toBe("Hello,");
	expect(render("order_cancelled", { ...order, reason: "PAYMENT_DECLINED" }).text).toContain(
		"the payment was declined",
	);
});

test("the mail to a new address that has an account says so, and has no link", () => {
	const { text, subject } = render("email_change", { change_id: 1, taken: true });
	expect(text).toContain("It has an account already.");
	expect(text).not.toContain("http");
	expect(subject).toBe(render("email_change", samples.email_change).subject);
});
