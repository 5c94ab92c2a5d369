/** Roles and states by which the list can be filtered, with their labels. */
export const ROLES = { user: "Customer", admin: "Administrator" } as const;
export const STATES = { true: "Active", false: "Deactivated" } as const;

/** Parameters of `users.list` by the query parameters of the page. Ignores invalid values. */
export function filtersOf(query: URLSearchParams): {
	q?: string;
	role?: keyof typeof ROLES;
	is_active?: boolean;
} {
	const [q, role, active] = [query.get("q")?.trim(), query.get("role"), query.get("active")];
	return {
		...(q ? { q: q.slice(0, MAX_SEARCH) } : {}),
		...(role && Object.hasOwn(ROLES, role) ? { role: role as keyof typeof ROLES } : {}),
		...(active && Object.hasOwn(STATES, active) ? { is_active: active === "true" } : {}),
	};
}
/** Longest search that the service accepts. */
const MAX_SEARCH = 100;
