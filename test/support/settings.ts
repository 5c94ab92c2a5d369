/** Settings of the nodes of all tests, unless a test changes them. */
export const testSettings = {
	NODE_ENV: "test",
	BCRYPT_COST: "4",
	/** Connections per service: each is a process of Postgres, and plans its statements again. */
	DATABASE_POOL: "3",
	JWT_SECRET: "a secret for tests only, long enough to be one",
	// On a busy machine, an order may take longer than the defaults.
	ORDER_WAIT_MS: "9000",
	ORDER_DEADLINE_MS: "600000",
};
