import { Form, TextField } from "./components/form.tsx";
import { Page } from "./components/page.tsx";
import { navigations } from "./router.ts";
import { signIn } from "./session.ts";

/** The sign-in, at any address: its page follows. */
export function SignIn() {
	const submit = async (values: FormData) => {
		await signIn(String(values.get("email")), String(values.get("password")));
		// The page takes the focus from the form.
		navigations.value++;
	};
	return (
		<main class="sign-in">
			<Page title="Sign in">
				<Form action="Sign in" submit={submit}>
					<TextField
						label="E-mail address"
						name="email"
						type="email"
						autocomplete="username"
						required
					/>
					<TextField
						label="Password"
						name="password"
						type="password"
						autocomplete="current-password"
						required
					/>
				</Form>
			</Page>
		</main>
	);
}
