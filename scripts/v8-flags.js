import { setFlagsFromString } from "node:v8";

/**
 * Forbids V8 to allocate objects in the old generation. It does so with the objects of code whose
 * earlier objects lived long, such as those of the first, slow requests, and then keeps everything
 * that they refer to, such as whole requests, until the next full collection.
 */
setFlagsFromString("--no-allocation-site-pretenuring");
