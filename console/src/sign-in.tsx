import { useState } from "preact/hooks";
import { signIn } from "./session.ts";

export function SignIn() {
	const [error, setError] = useState<string>();
	const submit = async (event: Event) => {
		event.preventDefault();
		const form = new FormData(event.target as HTMLFormElement);
		setError(await signIn(String(form.get("email")), String(form.get("password"))));
	};
	return (
		<main class="sign-in">
			<h1>Sign in</h1>
			<form onSubmit={submit}>
				<label>
					E-mail address <input name="email" type="email" autocomplete="username" required />
				</label>
				<label>
					Password{" "}
					<input name="password" type="password" autocomplete="current-password" required />
				</label>
				{error && <p role="alert">{error}</p>}
				<button type="submit">Sign in</button>
			</form>
		</main>
	);
}
