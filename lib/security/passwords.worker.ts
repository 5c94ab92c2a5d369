import bcrypt from "bcryptjs";

/* Runs in the worker threads of lib/security/bcrypt.ts, which wait for nothing else, so the synchronous functions are the quickest. */

export const hash = ({ password, cost }: { password: string; cost: number }): string =>
	bcrypt.hashSync(password, cost);
export const compare = ({ password, hashed }: { password: string; hashed: string }): boolean =>
	bcrypt.compareSync(password, hashed);
