import { Failure, Loading } from "./components/states.tsx";
import { sessionError, startSession, user } from "./session.ts";
import { Shell } from "./shell.tsx";
import { SignIn } from "./sign-in.tsx";

/** The page of the address, or the sign-in, which keeps the address. */
export function App() {
	if (user.value) return <Shell email={user.value.email} />;
	if (user.value === null) return <SignIn />;
	return (
		<main class="starting">
			<h1>Admin console</h1>
			{sessionError.value === undefined ? (
				<Loading />
			) : (
				<Failure error={sessionError.value} retry={startSession} />
			)}
		</main>
	);
}
