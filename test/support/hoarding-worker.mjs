/** Keeps whatever it makes, as fast as it can, on top of what it has. */
const kept = [];
for (let i = 0; i < 20_000; i++) kept.push({ i, text: `x${i}` });
for (const hoard = [kept]; ;) hoard.push(Array.from({ length: 1_000 }, (_, i) => ({ i })));
