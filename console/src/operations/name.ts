const NAME = /^(antispam\/)?operations\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether a text is an operation's name: whoever writes a link makes this page call nothing else. */
export function isOperationName(text: string): boolean {
  return NAME.test(text);
}
