export const key = (label: string) => `Key ${label}`;
export const person = (id: string) => `Person ${id}`;
