import { expect, test } from "@jest/globals";
import { clientAddress } from "./client-address.ts";

const from = (remoteAddress: string | undefined, forwarded?: string, proxies = 0) =>
	clientAddress(
		{
			socket: { remoteAddress },
			headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
		},
		proxies,
	);

test("uses the connection's address if no proxy is configured", () => {
	expect(from("203.0.113.7")).toBe("203.0.113.7");
	expect(from("203.0.113.7", "198.51.100.1, 198.51.100.2")).toBe("203.0.113.7");
	expect(from("::ffff:203.0.113.7")).toBe("203.0.113.7");
	expect(from(undefined)).toBe("unknown");
});

test("uses the address that the outermost trusted proxy appended", () => {
	expect(from("10.0.0.1", "203.0.113.7", 1)).toBe("203.0.113.7");
	expect(from("10.0.0.1", "1.1.1.1, 203.0.113.7", 1)).toBe("203.0.113.7");
	expect(from("10.0.0.1", "1.1.1.1, 203.0.113.7, 10.0.0.2", 2)).toBe("203.0.113.7");
	expect(from("10.0.0.1", "203.0.113.7", 2)).toBe("203.0.113.7");
	expect(from("10.0.0.1", undefined, 1)).toBe("10.0.0.1");
});

test("returns unknown for a malformed address", () => {
	for (const nonsense of ["nobody", "1.2.3.4.5", "<script>", "a".repeat(300), "' or 1=1"])
		expect(from("10.0.0.1", nonsense, 1)).toBe("unknown");
});

test("groups the addresses of one IPv6 network", () => {
	expect(from("2001:db8:0:1:aaaa::1")).toBe("2001:db8:0:1::/64");
	expect(from("2001:0db8::1:0:0:0:2")).toBe(from("2001:db8:0:1::ffff"));
	expect(from("2001:db8::1")).toBe("2001:db8::/64");
	expect(from("::1")).toBe("::/64");
	expect(from("fe80::1%eth0")).toBe("fe80::/64");
});

test("ignores the ports that some proxies add to addresses", () => {
	const client = (hop: string) => from("10.0.0.1", `198.51.100.1:80, ${hop}`, 1);
	expect(client("203.0.113.7:50123")).toBe("203.0.113.7");
	expect(client("203.0.113.8:50123")).toBe("203.0.113.8");
	expect(client("[2001:db8:0:1::5]:50123")).toBe("2001:db8:0:1::/64");
	expect(client("[2001:db8:0:2::5]")).toBe("2001:db8:0:2::/64");
	expect(client("2001:db8:0:3::5")).toBe("2001:db8:0:3::/64");
	expect(client("[::ffff:203.0.113.7]:1")).toBe("203.0.113.7");
	for (const wrong of [
		"203.0.113.7:port",
		"[203.0.113.7:1",
		"203.0.113.7:1:2",
		"[]:1",
		":80",
		"[::1]x",
	])
		expect(client(wrong)).toBe("unknown");
});

test("reads a header of the greatest length that node:http accepts", () => {
	const most = 16_000;
	for (const piece of ["1:", "1.1.1.1, ", ", ", "[", "::", " ", "1.", "%a"]) {
		const header = piece.repeat(most / piece.length);
		expect(from("10.0.0.1", `${header}, 203.0.113.7`, 1)).toBe("203.0.113.7");
		expect(from("10.0.0.1", header, 10)).toMatch(/^(unknown|1\.1\.1\.1|10\.0\.0\.1)$/);
	}
});
