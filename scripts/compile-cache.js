import { enableCompileCache } from "node:module";
// Evaluated first: the cache is valid only for the flags with which it was enabled.
import "./v8-flags.js";

/**
 * Enables Node's cache of compiled modules. It also contains the modules without their types, so
 * that a start from the cache does not load the compiler, which needs 16 MB.
 */
enableCompileCache(`${import.meta.dirname}/../node_modules/.cache/compile`);
