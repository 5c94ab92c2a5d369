// Fills the compile cache with all modules of a start, for an image that nodes cannot write to.
import "./compile-cache.js";

const { loadServices } = await import("./broker.ts");
const { selectedServices } = await import("../lib/settings/node.ts");
const root = `${import.meta.dirname}/..`;
await loadServices(root, selectedServices(`${root}/services`, ""));
process.argv.push("--help");
await import("./start.ts");
