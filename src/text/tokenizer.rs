//! Keras's legacy `Tokenizer`: words or characters to indices by frequency.

mod json;

use std::collections::{HashMap, HashSet};

/// What Keras turns into blanks unless told otherwise: ASCII punctuation but the apostrophe, tab and
/// line feed.
const FILTERS: &str = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n";

/// How texts become words. The defaults are Keras's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerOptions {
    /// Indices from this one on stand for no word; `None` (or 0) keeps all.
    pub num_words: Option<usize>,
    /// Characters that `split` takes the place of.
    pub filters: String,
    /// Whether texts become lower case, by Unicode's rules.
    pub lower: bool,
    /// What stands between words.
    pub split: String,
    /// Whether every character is a token; `filters` and `split` have no effect then.
    pub char_level: bool,
    /// What stands for words that are not known, at index 1; without one they are left out.
    pub oov_token: Option<String>,
}

impl Default for TokenizerOptions {
    fn default() -> TokenizerOptions {
        TokenizerOptions {
            num_words: None,
            filters: FILTERS.to_owned(),
            lower: true,
            split: " ".to_owned(),
            char_level: false,
            oov_token: None,
        }
    }
}

/// Words and their indices, as Keras's legacy `Tokenizer` has them: from 1 by frequency, ties by
/// first appearance; 0 is padding.
///
/// ```
/// use seqfuse::text::Tokenizer;
/// let mut tokenizer = Tokenizer::default();
/// tokenizer.fit_on_texts(&["The cat sat.", "the dog"]);
/// assert_eq!(tokenizer.texts_to_sequences(&["a dog, the cat"]), [[4, 1, 2]]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tokenizer {
    options: TokenizerOptions,
    /// How many texts were fitted.
    document_count: u64,
    /// Words in the order of their first appearance.
    words: Vec<Word>,
    /// The place in `words` of each.
    places: HashMap<String, usize>,
    /// Indices in the order in which Keras lists them.
    listed: Vec<String>,
    word_index: HashMap<String, usize>,
    index_word: HashMap<usize, String>,
}

/// A word and its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    text: String,
    /// Times that it occurs.
    count: u64,
    /// Texts that it occurs in.
    documents: u64,
}

impl Tokenizer {
    /// One that knows no word yet.
    pub fn new(options: TokenizerOptions) -> Tokenizer {
        Tokenizer { options, ..Tokenizer::default() }
    }

    /// The options.
    pub fn options(&self) -> &TokenizerOptions {
        &self.options
    }

    /// How many texts were fitted.
    pub fn document_count(&self) -> u64 {
        self.document_count
    }

    /// Words and their indices, all of them whatever `num_words` is, in Keras's order.
    pub fn word_index(&self) -> impl Iterator<Item = (&str, usize)> {
        self.listed
            .iter()
            .map(|word| (word.as_str(), self.word_index.get(word).copied().unwrap_or_default()))
    }

    /// The index of a word.
    pub fn index(&self, word: &str) -> Option<usize> {
        self.word_index.get(word).copied()
    }

    /// The word of an index.
    pub fn word(&self, index: usize) -> Option<&str> {
        self.index_word.get(&index).map(String::as_str)
    }

    /// How often a word occurs in the texts that were fitted, and in how many of them.
    pub fn counts(&self, word: &str) -> Option<(u64, u64)> {
        let word = self.words.get(*self.places.get(word)?)?;
        Some((word.count, word.documents))
    }

    /// Counts the words of `texts` beside those counted before, and gives every word its index.
    pub fn fit_on_texts<S: AsRef<str>>(&mut self, texts: &[S]) {
        for text in texts {
            self.document_count += 1;
            let words = self.options.words(text.as_ref());
            let mut places = HashSet::new();
            for word in words {
                places.insert(self.count(word, 1, 0));
            }
            for place in places {
                if let Some(word) = self.words.get_mut(place) {
                    word.documents += 1;
                }
            }
        }
        self.index_words();
    }

    /// Adds to a word's counts; its place.
    fn count(&mut self, text: String, count: u64, documents: u64) -> usize {
        let next = self.words.len();
        let place = *self.places.entry(text.clone()).or_insert(next);
        match self.words.get_mut(place) {
            Some(word) => {
                word.count += count;
                word.documents += documents;
            }
            None => self.words.push(Word { text, count, documents }),
        }
        place
    }

    /// Gives indices by frequency.
    fn index_words(&mut self) {
        let mut ranked: Vec<&Word> = self.words.iter().collect();
        ranked.sort_by_key(|word| std::cmp::Reverse(word.count));
        let words = ranked.into_iter().map(|word| word.text.clone());
        let all: Vec<String> = self.options.oov_token.clone().into_iter().chain(words).collect();
        self.set_index(all.into_iter().enumerate().map(|(place, word)| (word, place + 1)));
    }

    /// Takes words and indices; of a word that comes twice the later index counts.
    fn set_index(&mut self, entries: impl Iterator<Item = (String, usize)>) {
        self.listed.clear();
        self.word_index.clear();
        for (word, index) in entries {
            if self.word_index.insert(word.clone(), index).is_none() {
                self.listed.push(word);
            }
        }
        self.index_word =
            self.word_index.iter().map(|(word, &index)| (index, word.clone())).collect();
    }

    /// The index of each word of each text. Words that are not known, or whose index is `num_words`
    /// or more, become the index of `oov_token`, or are left out.
    pub fn texts_to_sequences<S: AsRef<str>>(&self, texts: &[S]) -> Vec<Vec<usize>> {
        let unknown = self.unknown();
        let index = |word: &String| self.index(word).filter(|&i| self.keeps(i)).or(unknown);
        let sequence = |text: &S| {
            self.options.words(text.as_ref()).iter().filter_map(index).collect::<Vec<usize>>()
        };
        texts.iter().map(sequence).collect()
    }

    /// The words of each sequence of indices, a blank apart. Indices that no word has, or of
    /// `num_words` or more, become `oov_token`, or are left out.
    pub fn sequences_to_texts<S: AsRef<[usize]>>(&self, sequences: &[S]) -> Vec<String> {
        let unknown = self.unknown().and_then(|index| self.word(index));
        let word = |&index: &usize| self.word(index).filter(|_| self.keeps(index)).or(unknown);
        let text =
            |sequence: &S| sequence.as_ref().iter().filter_map(word).collect::<Vec<_>>().join(" ");
        sequences.iter().map(text).collect()
    }

    fn unknown(&self) -> Option<usize> {
        self.options.oov_token.as_deref().and_then(|token| self.index(token))
    }

    fn keeps(&self, index: usize) -> bool {
        self.options.num_words.is_none_or(|count| count == 0 || index < count)
    }
}

impl TokenizerOptions {
    /// The words of a text, or its characters.
    fn words(&self, text: &str) -> Vec<String> {
        let lower = if self.lower { text.to_lowercase() } else { text.to_owned() };
        if self.char_level {
            return lower.chars().map(String::from).collect();
        }
        let mut clean = String::with_capacity(lower.len());
        for character in lower.chars() {
            match self.filters.contains(character) {
                true => clean.push_str(&self.split),
                false => clean.push(character),
            }
        }
        if self.split.is_empty() {
            return Some(clean).filter(|word| !word.is_empty()).into_iter().collect();
        }
        let words = clean.split(self.split.as_str()).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }
}
