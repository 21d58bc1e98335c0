/** All items of a list that comes in pages. `page` fetches one, from the token of the one before. */
export async function allPages<Item>(
  page: (token: string) => Promise<{ items: Item[]; next: string }>,
): Promise<Item[]> {
  const all: Item[] = [];
  let token = "";
  do {
    const { items, next } = await page(token);
    all.push(...items);
    token = next;
  } while (token);
  return all;
}
