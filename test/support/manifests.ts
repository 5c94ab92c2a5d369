import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { root } from "./databases.ts";

export interface Container {
	readonly name: string;
	readonly image: string;
	readonly env?: readonly {
		readonly name: string;
		readonly value?: string;
		readonly valueFrom?: Partial<
			Record<"configMapKeyRef" | "secretKeyRef", { name: string; key: string; optional?: boolean }>
		>;
	}[];
	readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[];
	readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
	readonly resources?: Record<"limits" | "requests", { cpu?: string; memory?: string } | undefined>;
	readonly securityContext?: {
		allowPrivilegeEscalation?: boolean;
		readOnlyRootFilesystem?: boolean;
		capabilities?: { drop?: string[]; add?: string[] };
	};
	readonly livenessProbe?: Probe;
	readonly readinessProbe?: Probe;
	readonly startupProbe?: Probe;
	readonly lifecycle?: { readonly preStop?: { readonly exec: { readonly command: string[] } } };
}
export interface Probe {
	readonly httpGet?: { readonly port: string | number };
	readonly tcpSocket?: { readonly port: string | number };
	readonly periodSeconds?: number;
	readonly initialDelaySeconds?: number;
}
interface PodSpec {
	readonly containers: readonly Container[];
	readonly initContainers?: readonly Container[];
	readonly serviceAccountName?: string;
	readonly automountServiceAccountToken?: boolean;
	readonly enableServiceLinks?: boolean;
	readonly terminationGracePeriodSeconds?: number;
	readonly securityContext?: {
		runAsNonRoot?: boolean;
		runAsUser?: number;
		seccompProfile?: { type: string };
	};
	readonly volumes?: readonly {
		readonly name: string;
		readonly configMap?: { readonly name: string };
	}[];
}
/** The fields of a manifest that tests read. */
export interface Manifest {
	readonly apiVersion: string;
	readonly kind: string;
	readonly metadata: { readonly name: string; readonly labels?: Record<string, string> };
	readonly data?: Record<string, string>;
	// biome-ignore lint/suspicious/noExplicitAny: the shape depends on the kind
	readonly spec?: any;
	readonly automountServiceAccountToken?: boolean;
}
/** Manifest with a pod template. */
export interface Workload extends Manifest {
	readonly spec: {
		readonly template: {
			readonly metadata: {
				readonly labels: Record<string, string>;
				readonly annotations?: Record<string, string>;
			};
			readonly spec: PodSpec;
		};
	};
}

export const nameOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.name}`;
export const isWorkload = (manifest: Manifest): manifest is Workload =>
	manifest.spec?.template?.spec?.containers !== undefined;
export const containersOf = ({ spec }: Workload): Container[] => [
	...(spec.template.spec.initContainers ?? []),
	...spec.template.spec.containers,
];
export const matches = (selector: Record<string, string>, labels: Record<string, string> = {}) =>
	Object.entries(selector).every(([key, value]) => labels[key] === value);

const succeeds = (command: string, ...args: string[]) => spawnSync(command, args).status === 0;
/** Installed program that renders kustomizations. */
const renderer = succeeds("kubectl", "kustomize", "--help")
	? ["kubectl", "kustomize"]
	: succeeds("kustomize", "version")
		? ["kustomize", "build"]
		: [];
export const canRender = renderer.length > 0;

/** Renders an overlay with the secrets of its example. */
export function render(overlay: string): Manifest[] {
	return inTemporaryFolder((folder) => {
		cpSync(join(root, "k8s"), folder, { recursive: true });
		const path = join(folder, "overlays", overlay);
		if (existsSync(join(path, "secrets.env.example")))
			cpSync(join(path, "secrets.env.example"), join(path, "secrets.env"));
		const [command = "", ...args] = renderer;
		const { status, stdout, stderr } = spawnSync(command, [...args, path], { encoding: "utf8" });
		if (status !== 0) throw new Error(`${overlay} cannot be rendered: ${stderr}`);
		return parseAllDocuments(stdout).map((document) => unfold(document.toJS() as Manifest));
	});
}

/** Removes the line breaks in long values of a Secret, as Kubernetes does. */
const unfold = (manifest: Manifest): Manifest =>
	manifest.kind === "Secret"
		? {
				...manifest,
				data: Object.fromEntries(
					Object.entries(manifest.data ?? {}).map(([key, value]) => [
						key,
						value.replace(/\s/g, ""),
					]),
				),
			}
		: manifest;

/**
 * Unknown fields and values of a wrong type, as the compiler's output. The schemas accept unknown
 * fields, so each manifest is compiled as a literal of its type, which rejects them at any depth.
 */
export function unknownFields(manifests: readonly Manifest[]): string {
	return inTemporaryFolder((folder) => {
		symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
		const lines = manifests.map((manifest, i) => {
			const { apiVersion, kind } = manifest;
			const type = `import("kubernetes-models/${apiVersion}").I${kind}`;
			return `export const m${i}: ${type} = ${JSON.stringify(manifest, null, "\t")};`;
		});
		writeFileSync(join(folder, "package.json"), '{"type":"module"}');
		writeFileSync(join(folder, "manifests.ts"), lines.join("\n"));
		const options = [
			"--ignoreConfig",
			"--noEmit",
			"--strict",
			"--skipLibCheck",
			"--module",
			"nodenext",
			"--types",
			"",
		];
		return spawnSync(
			process.execPath,
			[join(root, "node_modules/typescript/bin/tsc"), ...options, "manifests.ts"],
			{
				cwd: folder,
				encoding: "utf8",
			},
		).stdout;
	});
}

function inTemporaryFolder<T>(work: (folder: string) => T): T {
	const folder = mkdtempSync(join(tmpdir(), "moleculer-commerce-manifests-"));
	try {
		return work(folder);
	} finally {
		rmSync(folder, { recursive: true });
	}
}
