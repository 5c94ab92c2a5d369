import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { orders } from "../e2e/order.flow.ts";
import {
	type Customer,
	makeAdmin,
	makeProduct,
	orderRequest,
	register,
} from "../support/builders.ts";
import { type Cluster, type ClusterNode, startCluster } from "../support/cluster.ts";
import { domains, root } from "../support/databases.ts";
import { eventually } from "../support/eventually.ts";
import { type MailServer, startMailServer } from "../support/mail-server.ts";
import { type ReceivedSpan, type Receiver, startReceiver, tree } from "../support/otlp-receiver.ts";
import { describeWith } from "../support/servers.ts";

const NODE_OPTIONS = `--import ${pathToFileURL(join(root, "test/support/loaded-telemetry.ts"))}`;

describeWith(["nats-server", "redis-server"], "each service in its own process", () => {
	let receiver: Receiver;
	let mail: MailServer;
	let cluster: Cluster;
	/** Nodes by service. */
	let nodes: Record<string, ClusterNode>;
	/** Settings of nodes that export traces: all except the one of products. */
	let traced: Record<string, string>;
	beforeAll(async () => {
		[receiver, mail] = await Promise.all([startReceiver(), startMailServer()]);
		traced = {
			OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
			OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
		};
		cluster = await startCluster({
			services: domains,
			env: { SMTP_URL: mail.url, RATE_LIMIT_ENABLED: "false", NODE_OPTIONS },
		});
		const start = async (name: string, ...others: string[]) => {
			const env = name === "products" ? {} : traced;
			return [name, await cluster.start(`only-${name}`, [name, ...others], env)] as const;
		};
		nodes = Object.fromEntries(
			await Promise.all([...domains.map((name) => start(name)), start("api", "operations")]),
		);
	});
	afterAll(async () => {
		await cluster?.stop();
		await Promise.all([receiver?.stop(), mail?.stop()]);
	});

	describe("the order flow", () =>
		orders(async () => ({ ...cluster, stop: async () => undefined })));

	test("requests to a service without nodes return 503 until a new node starts", async () => {
		const { token } = await register(cluster);
		const list = () => cluster.http("GET /api/notifications", { token });
		await eventually(async () => expect((await list()).status).toBe(200));
		await nodes.notifications!.process.kill();
		const rejected = await eventually(async () => {
			const response = await list();
			expect(response.status).toBe(503);
			return response;
		});
		expect(rejected.body).toMatchObject({
			code: "SERVICE_UNAVAILABLE",
			detail: "Service temporarily unavailable",
		});
		expect(rejected.headers.get("retry-after")).toMatch(/^\d+$/);
		await eventually(() => expect(cluster.has(nodes.notifications!)).toBe(false));
		await eventually(async () => {
			const { body: health } = await cluster.http("GET /health");
			expect(health).toMatchObject({
				status: "degraded",
				services: { notifications: { status: "down" }, users: { status: "up" } },
			});
		});
		nodes.notifications = await cluster.start("successor", ["notifications"], traced);
		await eventually(async () => expect((await list()).status).toBe(200));
	});

	// Last, because it stops the node of orders.
	describe("traces", () => {
		let product: { id: string };
		beforeAll(async () => {
			product = await makeProduct(cluster, await makeAdmin(cluster), { stock: 100 });
		});

		const spansOf = (id: string) => receiver.spans.filter(({ trace }) => trace === id);
		/** Places an order without an idempotency key. @returns its trace, once it is confirmed */
		async function place({ token }: Customer): Promise<string> {
			const id = randomBytes(16).toString("hex");
			const headers = { traceparent: `00-${id}-00f067aa0ba902b7-01` };
			const body = orderRequest(product);
			const placed = await cluster.http("POST /api/orders", { token, headers, body });
			expect(placed.status).toBe(201);
			await eventually(async () => {
				const order = await cluster.http(`GET /api/orders/${placed.body.id}`, { token });
				expect(order.body.status).toBe("confirmed");
			});
			return id;
		}

		test("an order is one trace across HTTP, NATS, Postgres, JetStream and mail", async () => {
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
			const isRetried = (id: string) =>
				spansOf(id).some(({ events }) => events.some(({ name }) => name === "retry"));
			// On a busy machine, a call may be retried, which adds spans. Another order has a new trace.
			const id = await eventually(async () => {
				const placed = await place(await register(cluster));
				await eventually(() => {
					if (isRetried(placed)) return;
					expect(tree(spansOf(placed).filter(isCertain))).toEqual(expected);
				});
				if (isRetried(placed)) throw new Error("A call of the order was retried");
				return placed;
			});
			const instances = new Map(
				spansOf(id).map(({ service, resource }) => [service, resource["service.instance.id"]]),
			);
			expect(instances.get("payments")).toBe(nodes.payments!.id);
			expect(instances.get("shipping")).toBe(nodes.shipping!.id);
			expect(instances.get("inventory")).toBe(nodes.inventory!.id);
			expect(instances.get("notifications")).toBe(nodes.notifications!.id);
		});

		test("a stopping node exports its remaining spans", async () => {
			const id = await place(await register(cluster));
			const names = (service: string) =>
				spansOf(id).flatMap((span) => (span.service === service ? [span.name] : []));
			expect(await nodes.orders!.process.term()).toBe(0);
			expect(names("orders")).toEqual(
				expect.arrayContaining(["orders.create", "saga", "complete", "send order.confirmed"]),
			);
		});

		test("a node without endpoint loads no OpenTelemetry module and exports no span", async () => {
			expect(nodes.inventory!.process.log()).toContain("/@opentelemetry/sdk-trace/");
			expect(nodes.products!.process.log()).not.toContain("opentelemetry");
			expect(receiver.spans.filter(({ service }) => service === "products")).toEqual([]);
		});
	});
});
