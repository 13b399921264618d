import { ArchiveError, printable, readArchive, type ArchiveEntry, type ArchiveLimits } from './archive.js';
import { MAX_RECORDS, type ByteSource, type Report } from './records.js';

/**
 * Images in folders, `split/class/file`, as torchvision's ImageFolder reads them, in an archive. The splits are `train`
 * and `test`; where there is no `test`, `val` or `valid` is taken for it. All of it may lie in one folder more.
 */

export interface FolderLayout {
  /** The folder that everything lies in, or null. */
  readonly top: string | null;
  /** Which folder is the TEST split. */
  readonly testFolder: string;
  /** In the order of their labels. */
  readonly classNames: readonly string[];
}

export interface FolderImage {
  readonly entry: ArchiveEntry;
  readonly split: 'TRAIN' | 'TEST';
  readonly label: number;
}

const TEST_FOLDERS = ['test', 'val', 'valid'];
const SPLIT_FOLDERS = ['train', ...TEST_FOLDERS];
const IMAGE_FILE = /\.(png|jpe?g|webp)$/i;
/** What macOS and Windows leave behind. */
const JUNK = /^(__MACOSX|\.DS_Store|\._.*|Thumbs\.db|desktop\.ini)$/;

/**
 * Lists the archive once, without unpacking an image. Every problem with the archive itself is reported here.
 * @param classNames where null, the names of the folders, sorted by code unit
 * @returns null where the problems leave nothing to read
 */
export async function scanImageFolder(
  source: ByteSource,
  limits: ArchiveLimits,
  classNames: readonly string[] | null,
  report: Report,
): Promise<FolderLayout | null> {
  const found: Found = {
    classes: new Map(SPLIT_FOLDERS.map((folder) => [folder, new Set()])),
    top: undefined,
    images: 0,
  };
  try {
    for await (const entry of readArchive(source, limits, report)) {
      const problem = addEntry(found, entry);
      if (problem !== null) report(`${source.name}: ${printable(entry.path)}: ${problem}`);
    }
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    report(error.message);
    return null;
  }
  return layOut(source, found, classNames, report);
}

/** What has been seen of an archive so far. */
interface Found {
  /** Names of the class folders in each split's folder. */
  readonly classes: ReadonlyMap<string, Set<string>>;
  /** undefined until the first folder or file that belongs somewhere. */
  top: string | null | undefined;
  images: number;
}

/** @returns what is wrong with it, or null */
function addEntry(found: Found, entry: ArchiveEntry): string | null {
  const place = placeOf(entry);
  if (place === null || typeof place === 'string') return place;
  found.top ??= place.top;
  if (place.top !== found.top) return 'lies outside of the folder of the others';
  found.classes.get(place.folder)!.add(place.className);
  if (!entry.isFolder) found.images++;
  return null;
}

function layOut(
  source: ByteSource,
  found: Found,
  classNames: readonly string[] | null,
  report: Report,
): FolderLayout | null {
  const { classes, top = null, images } = found;
  const refuse = (problem: string) => {
    report(`${source.name}: ${problem}`);
    return null;
  };
  const testFolder = TEST_FOLDERS.find((folder) => classes.get(folder)!.size > 0);
  if (images > MAX_RECORDS) return refuse(`${images} images, more than ${MAX_RECORDS}`);
  if (classes.get('train')!.size === 0) return refuse('no folder train/CLASS');
  if (testFolder === undefined) return refuse('no folder test/CLASS, nor val or valid');
  const names = [...new Set([...classes.get('train')!, ...classes.get(testFolder)!])].sort();
  for (const name of names)
    if (classNames && !classNames.includes(name)) refuse(`folder ${printable(name)} is not in classNames`);
  return { top, testFolder, classNames: classNames ?? names };
}

/** The images of a layout that had no problems, in the archive's order. */
export async function* folderImages(
  source: ByteSource,
  limits: ArchiveLimits,
  layout: FolderLayout,
): AsyncGenerator<FolderImage> {
  const labels = new Map(layout.classNames.map((name, label) => [name, label]));
  for await (const entry of readArchive(source, limits, () => undefined)) {
    const place = placeOf(entry);
    if (entry.isFolder || place === null || typeof place === 'string' || place.top !== layout.top) continue;
    const label = labels.get(place.className);
    if (label === undefined) continue;
    if (place.folder === 'train') yield { entry, split: 'TRAIN', label };
    else if (place.folder === layout.testFolder) yield { entry, split: 'TEST', label };
  }
}

interface Place {
  readonly top: string | null;
  readonly folder: string;
  readonly className: string;
}

/** Where a class folder or a file in one belongs; null for what is of no concern; a string says what is wrong. */
function placeOf({ path, isFolder }: ArchiveEntry): Place | null | string {
  const parts = path.split('/');
  if (parts.some((part) => JUNK.test(part))) return null;
  const top = SPLIT_FOLDERS.includes(parts[0]!) ? null : parts.shift()!;
  const [folder, className] = parts;
  const isPlaced = folder !== undefined && SPLIT_FOLDERS.includes(folder);
  const depth = parts.length + (isFolder ? 1 : 0);
  if (isPlaced && className !== undefined && depth === 3) return { top, folder, className };
  if (isPlaced && depth > 3) return 'lies deeper than split/class/file';
  // A README or a list beside the folders does no harm; an image there was meant to be one of the data set's.
  return !isFolder && IMAGE_FILE.test(path) ? 'is not at split/class/file, with the splits train and test' : null;
}
