import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import {
	type Customer,
	makeAdmin,
	makeProduct,
	placeOrder,
	register,
} from "../support/builders.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { domains, root } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { type MailServer, startMailServer } from "../support/mail-server.ts";
import { type ReceivedSpan, type Receiver, startReceiver, tree } from "../support/otlp-receiver.ts";
import { describeWith } from "../support/servers.ts";

const NODE_OPTIONS = `--import ${pathToFileURL(join(root, "test/support/loaded-telemetry.ts"))}`;

describeWith(["nats-server", "redis-server"], "traces across processes", () => {
	let receiver: Receiver;
	let mail: MailServer;
	let cluster: Cluster;
	let nodes: Record<string, ClusterNode>;
	let admin: Customer;
	let product: { id: string };
	// All nodes except the one of products export traces.
	beforeAll(async () => {
		[receiver, mail] = await Promise.all([startReceiver(), startMailServer()]);
		const traced = {
			OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
			OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
		};
		cluster = await startCluster({
			services: domains,
			env: { SMTP_URL: mail.url, RATE_LIMIT_ENABLED: "false", NODE_OPTIONS },
		});
		const start = async (name: string, services: string[], env: Record<string, string> = traced) =>
			[name, await cluster.start(name, services, env)] as const;
		nodes = Object.fromEntries(
			await Promise.all([
				start("fulfilment", ["payments", "shipping", "promotions", "tax"]),
				start("warehouse", ["inventory"]),
				start("post", ["notifications"]),
				start("people", ["auth", "users"]),
				start("untraced", ["products"], {}),
				start("orders", ["orders"]),
			]),
		);
		nodes.gateway = await cluster.start("gateway", ["api"], traced);
		admin = await makeAdmin(cluster);
		product = await makeProduct(cluster, admin, { stock: 100 });
	}, 120_000);
	afterAll(async () => {
		await cluster?.stop();
		await Promise.all([receiver?.stop(), mail?.stop()]);
	});

	const spansOf = (id: string) => receiver.spans.filter(({ trace }) => trace === id);
	async function place(customer: Customer): Promise<string> {
		const id = randomBytes(16).toString("hex");
		const headers = { traceparent: `00-${id}-00f067aa0ba902b7-01` };
		const { status } = await placeOrder(cluster, customer, product, {}, headers);
		expect(status).toBe(201);
		return id;
	}

	test("an order is one trace across HTTP, NATS, Postgres, JetStream and mail", async () => {
		const id = await place(await register(cluster));
		// Users, products and what prices depend on may come from a cache.
		const isCertain = ({ name }: ReceivedSpan) =>
			!/^(by_ids|users\.resolve|promotions\.automatic|(shipping|tax)\.status)$/.test(name) &&
			!/^(find_automatic|list_methods|is_configured)$/.test(name);
		const expected = [
			"api server POST /api/orders",
			"  api client orders.create",
			"    orders server orders.create",
			"      orders client inventory.reserve",
			"        inventory server inventory.reserve",
			"          inventory client reserve_new",
			"          inventory producer send inventory.reserved",
			"      orders client place",
			"      orders client products.resolve",
			"      orders internal saga",
			"        orders client complete",
			"        orders client payments.charge",
			"          payments server payments.charge",
			"            payments client ledger_charge_new",
			"            payments client record_new",
			"            payments producer send payment.captured",
			"        orders client shipping.schedule",
			"          shipping server shipping.schedule",
			"            shipping client schedule_new",
			"            shipping producer send shipment.scheduled",
			"      orders producer send order.confirmed",
			"        notifications client commit",
			"        notifications client inbox_receive",
			"        notifications client start transaction",
			"        notifications consumer process order.confirmed",
			"          notifications client mail",
			"            notifications client count_recipient",
			"          notifications client messages_queue",
			"      orders producer send order.created",
		];
		await eventually(() => expect(tree(spansOf(id).filter(isCertain))).toEqual(expected), 20);
		const instances = new Map(
			spansOf(id).map(({ service, resource }) => [service, resource["service.instance.id"]]),
		);
		expect(instances.get("payments")).toBe(nodes.fulfilment!.id);
		expect(instances.get("shipping")).toBe(nodes.fulfilment!.id);
		expect(instances.get("inventory")).toBe(nodes.warehouse!.id);
		expect(instances.get("notifications")).toBe(nodes.post!.id);
	}, 60_000);

	test("a stopping node exports its remaining spans", async () => {
		const id = await place(await register(cluster));
		const names = (service: string) =>
			spansOf(id).flatMap((span) => (span.service === service ? [span.name] : []));
		expect(await nodes.orders!.process.term()).toBe(0);
		expect(names("orders")).toEqual(
			expect.arrayContaining(["orders.create", "saga", "complete", "send order.confirmed"]),
		);
	}, 60_000);

	test("a node without an endpoint loads no OpenTelemetry module and exports no span", async () => {
		expect(nodes.warehouse!.process.log()).toContain("/@opentelemetry/sdk-trace/");
		expect(nodes.untraced!.process.log()).not.toContain("opentelemetry");
		expect(receiver.spans.filter(({ service }) => service === "products")).toEqual([]);
	});
});
