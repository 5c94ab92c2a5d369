import { useEffect } from "preact/hooks";
import { startRouter } from "./router.ts";
import { startSession, user } from "./session.ts";
import { Shell } from "./shell.tsx";
import { SignIn } from "./sign-in.tsx";

export function App() {
	useEffect(() => {
		startRouter();
		startSession();
	}, []);
	if (user.value === undefined) return <p>Loading …</p>;
	return user.value ? <Shell /> : <SignIn />;
}
