import { domainToASCII } from "node:url";

/** Characters, including "@" (RFC 5321, 4.5.3.1.3: a path has 256 with its brackets). */
const MAX_LENGTH = 254;
/** Octets of the part before "@" (RFC 5321, 4.5.3.1.1). */
const MAX_LOCAL_BYTES = 64;
/**
 * A dot-atom (RFC 5322, 3.2.3) whose atoms may be Unicode (RFC 6531), but neither invisible nor
 * able to close or quote an address. Linear: each character fits one part of the pattern only.
 */
const LOCAL =
	/^[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}<>()[\],;:\\"@.]+(?:\.[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}<>()[\],;:\\"@.]+)*$/u;
/**
 * Characters that `domainToASCII` removes instead of failing, so that two addresses would look
 * different and have the same canonical form.
 */
const INVISIBLE = /[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}%[\]]/u;
/** A canonical address of at most 64 characters, as most are. */
const CANONICAL =
	/^(?=.{1,64}$)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]+$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The canonical form of an e-mail address: trimmed, NFC, lower case, with an ASCII domain (IDNA).
 * Two addresses of one mailbox that differ in nothing else have the same form. Applying the
 * function twice gives the same result as applying it once.
 * @returns undefined for text that is not a plain address: brackets, a second "@", empty parts, an
 * invisible character, an IP address
 */
export function canonicalEmail(text: string): string | undefined {
	// Conversion costs 3 µs, and a checkout applies it several times.
	if (CANONICAL.test(text)) return text;
	// The factor covers spaces at the ends and decomposed characters; longer text is not worth
	// normalizing.
	if (text.length > 4 * MAX_LENGTH) return undefined;
	const folded = text.trim().normalize("NFC").toLowerCase().normalize("NFC");
	const at = folded.indexOf("@");
	const [local, domain] = [folded.slice(0, at), folded.slice(at + 1)];
	if (
		at < 1 ||
		Buffer.byteLength(local) > MAX_LOCAL_BYTES ||
		!LOCAL.test(local) ||
		INVISIBLE.test(domain)
	)
		return undefined;
	const ascii = domainToASCII(domain);
	const labels = ascii.split(".");
	if (
		labels.length < 2 ||
		!labels.every((label) => LABEL.test(label)) ||
		/^\d+$/.test(labels.at(-1)!)
	)
		return undefined;
	const canonical = `${local}@${ascii}`;
	return canonical.length <= MAX_LENGTH ? canonical : undefined;
}
