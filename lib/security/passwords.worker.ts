import bcrypt from "bcryptjs";

/*
 * Runs in the worker threads of lib/security/bcrypt.ts. They have no other work, so the synchronous
 * functions are the fastest.
 */

export const hash = ({ password, cost }: { password: string; cost: number }): string =>
	bcrypt.hashSync(password, cost);
export const compare = ({ password, hashed }: { password: string; hashed: string }): boolean =>
	bcrypt.compareSync(password, hashed);
