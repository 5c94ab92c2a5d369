import bcrypt from "bcryptjs";

/*
 * Runs in the worker threads of lib/security/bcrypt.ts. They have no other work, so the synchronous
 * functions are the fastest.
 */

/** bcrypt hash of a password. @param cost logarithm to base 2 of the number of rounds */
export const hash = ({ password, cost }: { password: string; cost: number }): string =>
	bcrypt.hashSync(password, cost);
/** Whether a password matches a bcrypt hash. */
export const compare = ({ password, hashed }: { password: string; hashed: string }): boolean =>
	bcrypt.compareSync(password, hashed);
