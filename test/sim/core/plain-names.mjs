// Runs in the thread of Node's module hooks: tsx gives each closure its name anew whenever it is made, which costs a good part of a seed. Nothing reads those
// names.
const NAMING = 'var __name=(target,value)=>__defProp(target,"name",{value,configurable:true});';

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (loaded.format !== 'module' || loaded.source === undefined || url.includes('/node_modules/')) return loaded;
  const source = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source).toString('utf8');
  return { ...loaded, source: source.replace(NAMING, 'var __name=(target)=>target;') };
}
