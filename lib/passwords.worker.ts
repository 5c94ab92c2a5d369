import bcrypt from "bcryptjs";

/** What runs in the worker threads of `passwords.ts`. */
export const hash = ({ password, cost }: { password: string; cost: number }): string => bcrypt.hashSync(password, cost);
export const compare = ({ password, hashed }: { password: string; hashed: string }): boolean => bcrypt.compareSync(password, hashed);
