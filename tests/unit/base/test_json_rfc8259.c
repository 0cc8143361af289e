/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 8259 rule by rule: what each section has accepted and refused, beyond the cases of
 * test_json.c. Each row is a test whose name is the section and the rule. Where the RFC leaves a
 * choice the row says which is ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/arena.h"
#include "pipeline/base/json.h"
#include "pipeline/base/live.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* clang-format off */
#define REFUSED 0
#define ROW(rule, literal, values) {rule, {(literal), sizeof(literal) - 1}, values}

static const struct row {
	const char *rule;
	struct text text;
	uint32_t values; /* that the text has; 0: it is refused */
} rows[] = {
	ROW("2 a text is one value, white space around it", "\t\r\n 42 \n\r\t", 1),
	ROW("2 a text may be a string", " \"x\" ", 1),
	ROW("2 a text may be a word", "\nfalse\n", 1),
	ROW("2 a text is no two arrays", "[][]", REFUSED),
	ROW("2 a text is no two strings", "\"a\"\"b\"", REFUSED),
	ROW("2 a text is no two words", "nullnull", REFUSED),
	ROW("2 a text is no two lines of JSON", "{}\n{}\n", REFUSED),
	ROW("2 a text does not begin with a comma", ",1", REFUSED),
	ROW("2 a text does not begin with a colon", ":1", REFUSED),
	ROW("2 a text does not end with a comma", "1,", REFUSED),
	ROW("2 a text does not end with a semicolon", "[];", REFUSED),
	ROW("2 a text does not end with a record separator", "[]\x1e", REFUSED),
	ROW("2 white space is no U+0008", "[\b]", REFUSED),
	ROW("2 white space is no U+0000", "[\0]", REFUSED),
	ROW("2 white space is no U+000B", "[\v]", REFUSED),
	ROW("2 white space is no U+000C", "[\f]", REFUSED),
	ROW("2 white space is no U+0085", "[\xc2\x85]", REFUSED),
	ROW("2 white space is no U+00A0", "[\xc2\xa0]", REFUSED),
	ROW("2 white space is no U+200B", "[\xe2\x80\x8b]", REFUSED),
	ROW("2 white space is no U+2028", "[\xe2\x80\xa8]", REFUSED),
	ROW("2 white space is no U+2060", "[\xe2\x81\xa0]", REFUSED),
	ROW("2 white space is no U+3000", "[\xe3\x80\x80]", REFUSED),
	ROW("2 white space is no U+FEFF", "[\xef\xbb\xbf]", REFUSED),
	ROW("2 white space is no escape", "[\\u0020]", REFUSED),
	ROW("2 white space is no comment to the end of the line", "[] // end", REFUSED),
	ROW("2 white space is no comment in between", "{\"a\":/**/1}", REFUSED),
	ROW("2 brackets close what they open: an array", "[}", REFUSED),
	ROW("2 brackets close what they open: an object", "{\"a\":[1}]", REFUSED),
	ROW("2 brackets close what they open: inside", "[{]}", REFUSED),
	ROW("2 brackets are no parentheses", "(1)", REFUSED),
	ROW("2 brackets are no angles", "<1>", REFUSED),
	ROW("2 brackets are no full-width ones", "\xef\xbc\xbb\xef\xbc\xbd", REFUSED),

	ROW("3 words are values anywhere", "{\"a\":[true,false,null],\"b\":null}", 8),
	ROW("3 words are lowercase: tRUE", "[tRUE]", REFUSED),
	ROW("3 words are lowercase: False", "[False]", REFUSED),
	ROW("3 words are lowercase: NULL", "[NULL]", REFUSED),
	ROW("3 words are whole: t", "t", REFUSED),
	ROW("3 words are whole: tru", "[tru]", REFUSED),
	ROW("3 words are whole: fal, line feed, se", "[fal\nse]", REFUSED),
	ROW("3 words are whole: nul l", "[nul l]", REFUSED),
	ROW("3 words end: nulls", "[nulls]", REFUSED),
	ROW("3 words end: truefalse", "[truefalse]", REFUSED),
	ROW("3 words end: null0", "[null0]", REFUSED),
	ROW("3 words are no strings: true in quotes is one", "[\"true\"]", 2),
	ROW("3 words are written without escapes", "[\\u0074rue]", REFUSED),
	ROW("3 no other words: yes", "[yes]", REFUSED),
	ROW("3 no other words: nil", "[nil]", REFUSED),
	ROW("3 no other words: None", "[None]", REFUSED),
	ROW("3 no other values: an assignment", "a=1", REFUSED),
	ROW("3 no other values: a regular expression", "[/a/]", REFUSED),
	ROW("3 no other values: a function", "[function(){}]", REFUSED),
	ROW("3 no other values: an asterisk", "[*]", REFUSED),
	ROW("3 no other values: a high byte", "[\xff]", REFUSED),

	ROW("4 an object may be empty, with white space", "{ \t\r\n}", 1),
	ROW("4 members are separated by commas", "{\"a\":0,\"b\":0,\"c\":0}", 7),
	ROW("4 members may hold objects", "{\"a\":{\"b\":{}}}", 5),
	ROW("4 a name may be any string: an escape", "{\"\\u0041\\n\":0}", 3),
	ROW("4 a name may be any string: U+10FFFF", "{\"\xf4\x8f\xbf\xbf\":0}", 3),
	ROW("4 a name may be any string: as long as it likes",
			"{\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\":0}", 3),
	ROW("4 a name may be any string: __proto__", "{\"__proto__\":0}", 3),
	ROW("4 a name is no bare word", "{key:0}", REFUSED),
	ROW("4 a name is no number", "{9:0}", REFUSED),
	ROW("4 a name is no word: true", "{true:0}", REFUSED),
	ROW("4 a name is no array", "{[\"a\"]:0}", REFUSED),
	ROW("4 a name is no object", "{{}:0}", REFUSED),
	ROW("4 a name is not in single quotes", "{'a':0}", REFUSED),
	ROW("4 a name is well-formed UTF-8", "{\"\xed\xa0\x80\":0}", REFUSED),
	ROW("4 a name has an end", "{\"a", REFUSED),
	ROW("4 a name has a value: end", "{\"a\"", REFUSED),
	ROW("4 a name has a value: end behind the colon", "{\"a\":", REFUSED),
	ROW("4 a name has a value: a comma", "{\"a\":,\"b\":0}", REFUSED),
	ROW("4 a name has one value", "{\"a\":0 1}", REFUSED),
	ROW("4 a name has one value, not after two colons", "{\"a\":\"b\":0}", REFUSED),
	ROW("4 a colon, no comma", "{\"a\",0}", REFUSED),
	ROW("4 a colon, no arrow", "{\"a\"=>0}", REFUSED),
	ROW("4 a colon, no bracket", "{\"a\":0]", REFUSED),
	ROW("4 a comma, no semicolon", "{\"a\":0;\"b\":0}", REFUSED),
	ROW("4 a comma is followed by a member", "{\"a\":0,}", REFUSED),
	ROW("4 a comma is followed by a member, not by two commas", "{\"a\":0,,}", REFUSED),
	ROW("4 a comma is followed by a member, with white space", "{\"a\":0, }", REFUSED),
	ROW("4 a comma is not first", "{,\"a\":0}", REFUSED),
	ROW("4 an object ends once", "{\"a\":0}}", REFUSED),
	ROW("4 an object ends", "{\"a\":{}", REFUSED),
	ROW("4 an object is not followed by a comment", "{\"a\":0}/**/", REFUSED),
	ROW("4 names should be unique, ours must be", "{\"b\":0,\"a\":0,\"b\":0}", REFUSED),
	ROW("4 names should be unique, ours must be, for equal values too", "{\"a\":0,\"a\":0}", REFUSED),
	ROW("4 names should be unique in their object only", "[{\"a\":0},{\"a\":{\"a\":0}}]", 9),

	ROW("5 an array may be empty, with white space", "[ \t\r\n]", 1),
	ROW("5 elements may be of different types", "[0,\"\",null,{},[],true]", 7),
	ROW("5 elements may be alike", "[0,0,0]", 4),
	ROW("5 an array keeps its null at the end", "[1,null,null,null,2]", 6),
	ROW("5 a comma is followed by an element", "[0,]", REFUSED),
	ROW("5 a comma is followed by an element, with white space", "[0, ]", REFUSED),
	ROW("5 a comma is followed by an element, not by two commas", "[0,,]", REFUSED),
	ROW("5 a comma is followed by an element, also a last one", "[\"\",", REFUSED),
	ROW("5 a comma is not first", "[ ,\"\"]", REFUSED),
	ROW("5 elements are separated by commas: strings", "[\"a\" \"b\"]", REFUSED),
	ROW("5 elements are separated by commas: arrays", "[0[1]]", REFUSED),
	ROW("5 elements are separated by commas: objects", "[{}{}]", REFUSED),
	ROW("5 elements are separated by commas, no colons", "[0:1]", REFUSED),
	ROW("5 elements have no names", "[\"a\":0]", REFUSED),
	ROW("5 an array ends once", "[0]]", REFUSED),
	ROW("5 an array ends: behind a value", "[0", REFUSED),
	ROW("5 an array ends: behind a string", "[\"\"", REFUSED),
	ROW("5 an array ends: behind white space", "[0\n,0\n,0\n", REFUSED),
	ROW("5 an array ends: behind an object", "[{}", REFUSED),
	ROW("5 an array ends: many", "[[[[[[[[[[[[[[[[", REFUSED),

	ROW("6 a number is an integer", "[0,-0,7,-7,10,2147483648]", 7),
	ROW("6 a number has a fraction", "[0.0,-0.0,1.5,123.456,0.10]", 6),
	ROW("6 a number has an exponent", "[20e1,1E22,1E-2,1E+2,0e+1,-0e-0,1e00]", 8),
	ROW("6 a number has both", "[123.456e78,-9.9E-99,1.0e+0]", 4),
	ROW("6 zeros at the end of a fraction are digits", "1.000", 1),
	ROW("6 zeros at the front of an exponent are digits", "1e0001", 1),
	ROW("6 precision is not ours to limit", "3.141592653589793238462643383279502884197", 1),
	ROW("6 range is not ours to limit: large", "[1e9999,-123123e100000]", 3),
	ROW("6 range is not ours to limit: small", "123e-10000000", 1),
	ROW("6 range is not ours to limit: an exponent of many digits",
			"0.4e00669999999999999999999999999999999999999999999999999", 1),
	ROW("6 range is not ours to limit: an integer over 64 bits", "18446744073709551616", 1),
	ROW("6 no leading zero", "[012]", REFUSED),
	ROW("6 no leading zero: two", "[00]", REFUSED),
	ROW("6 no leading zero: negative", "[-012]", REFUSED),
	ROW("6 no leading zero: fraction", "[00.5]", REFUSED),
	ROW("6 no plus", "[+1]", REFUSED),
	ROW("6 no plus and minus", "[+-1]", REFUSED),
	ROW("6 one minus", "[--1]", REFUSED),
	ROW("6 a minus is followed by a digit: end", "[-]", REFUSED),
	ROW("6 a minus is followed by a digit: space", "[- 1]", REFUSED),
	ROW("6 a minus is followed by a digit: word", "[-foo]", REFUSED),
	ROW("6 a minus is followed by a digit: NaN", "[-NaN]", REFUSED),
	ROW("6 a minus is followed by a digit: point", "[-.123]", REFUSED),
	ROW("6 a minus is no U+2212", "[\xe2\x88\x92" "1]", REFUSED),
	ROW("6 a point follows a digit", "[.2e-3]", REFUSED),
	ROW("6 a point is followed by a digit: end", "[1.]", REFUSED),
	ROW("6 a point is followed by a digit: negative", "[-2.]", REFUSED),
	ROW("6 a point is followed by a digit: exponent", "[0.e1]", REFUSED),
	ROW("6 a point is followed by a digit: sign", "[2.-1]", REFUSED),
	ROW("6 one point", "[0.1.2]", REFUSED),
	ROW("6 one point, none behind the fraction", "[-1.0.]", REFUSED),
	ROW("6 a point is no comma", "{\"a\":1,5}", REFUSED),
	ROW("6 an exponent has digits: e", "[0e]", REFUSED),
	ROW("6 an exponent has digits: E", "[0E]", REFUSED),
	ROW("6 an exponent has digits: plus", "[0.3e+]", REFUSED),
	ROW("6 an exponent has digits: minus", "[1.0E-]", REFUSED),
	ROW("6 an exponent has digits: letter", "[1ea]", REFUSED),
	ROW("6 an exponent has one e", "[1eE2]", REFUSED),
	ROW("6 an exponent has one sign", "[1e+-2]", REFUSED),
	ROW("6 an exponent has no fraction", "[1e2.5]", REFUSED),
	ROW("6 an exponent follows a digit", "[e1]", REFUSED),
	ROW("6 an exponent follows a digit: minus", "[-e1]", REFUSED),
	ROW("6 decimal digits only: 0x1", "[0x1]", REFUSED),
	ROW("6 decimal digits only: 0b1", "[0b1]", REFUSED),
	ROW("6 decimal digits only: 0o7", "[0o7]", REFUSED),
	ROW("6 decimal digits only: 1a", "[1a]", REFUSED),
	ROW("6 decimal digits only: p as an exponent", "[1p2]", REFUSED),
	ROW("6 decimal digits only: full-width", "[\xef\xbc\x91]", REFUSED),
	ROW("6 decimal digits only: no suffix", "[1L,2f]", REFUSED),
	ROW("6 no grouping: apostrophe", "[1'000]", REFUSED),
	ROW("6 no grouping: space", "[1 000]", REFUSED),
	ROW("6 no expressions", "[1+2]", REFUSED),
	ROW("6 no infinity: Inf", "[Inf]", REFUSED),
	ROW("6 no infinity: -Infinity", "[-Infinity]", REFUSED),
	ROW("6 no NaN", "[NaN]", REFUSED),

	ROW("7 all two-character escapes", "[\"\\\"\",\"\\\\\",\"\\/\",\"\\b\",\"\\f\",\"\\n\",\"\\r\",\"\\t\"]", 9),
	ROW("7 an escape by number, hexadecimal digits of any case", "\"\\u0060\\u012a\\u12AB\\uaBcD\"", 1),
	ROW("7 an escape of what needs none", "\"\\u0020\\u0030\\u007e\\u007f\"", 1),
	ROW("7 an escape of control characters", "\"\\u0001\\u0008\\u001F\"", 1),
	ROW("7 an escape of U+2028 and U+2029", "\"\\u2028\\u2029\"", 1),
	ROW("7 an escape of a pair: G clef, the example", "\"\\uD834\\uDD1E\"", 1),
	ROW("7 an escape of a pair: the last characters", "\"\\uDBFF\\uDFFE\\udbff\\udfff\"", 1),
	ROW("7 an escape of two pairs", "\"\\ud83d\\ude39\\ud83d\\udc8d\"", 1),
	ROW("7 an escape of no characters: U+FDD0, U+FFFE", "\"\\uFDD0\\uFFFE\"", 1),
	ROW("7 an escaped backslash escapes nothing", "[\"\\\\u0000\",\"\\\\a\",\"\\\\\\\\\"]", 4),
	ROW("7 an escaped backslash does not escape the end", "[\"\\\\\"]", 2),
	ROW("7 a slash needs no escape", "\"</script>\"", 1),
	ROW("7 a DEL needs no escape", "[\"a\x7f" "a\"]", 2),
	ROW("7 an apostrophe needs no escape", "\"'\"", 1),
	ROW("7 what is a comment elsewhere is text in a string", "\"a/*b*/c//d\"", 1),
	ROW("7 what is a bracket elsewhere is text in a string", "\"{[]}:,\"", 1),
	ROW("7 a string is in double quotes: none", "[a]", REFUSED),
	ROW("7 a string is in double quotes: single", "['a']", REFUSED),
	ROW("7 a string is in double quotes: back", "[`a`]", REFUSED),
	ROW("7 a string is in double quotes: curly", "[\xe2\x80\x9c" "a\xe2\x80\x9d]", REFUSED),
	ROW("7 a string is in double quotes: escaped ones", "[\\\"a\\\"]", REFUSED),
	ROW("7 a string is in double quotes: an escape alone", "[\\n]", REFUSED),
	ROW("7 a string ends", "[\"a]", REFUSED),
	ROW("7 a string ends: not by an escaped quote", "[\"a\\\"]", REFUSED),
	ROW("7 a string ends: not behind three backslashes", "\"\\\\\\\"", REFUSED),
	ROW("7 a string ends: not in an escape", "[\"a\\", REFUSED),
	ROW("7 a string ends: not in an escape by number", "[\"\\u00", REFUSED),
	ROW("7 a string ends: not in the second of a pair", "[\"\\uD834\\uDd", REFUSED),
	ROW("7 a string is not added to another", "\"a\"+\"b\"", REFUSED),
	ROW("7 control characters are escaped: line feed", "[\"new\nline\"]", REFUSED),
	ROW("7 control characters are escaped: carriage return", "[\"\r\"]", REFUSED),
	ROW("7 control characters are escaped: tab", "[\"\t\"]", REFUSED),
	ROW("7 control characters are escaped: NUL", "[\"a\0b\"]", REFUSED),
	ROW("7 control characters are escaped: escape", "[\"\x1b\"]", REFUSED),
	ROW("7 control characters are escaped, in a name too", "{\"a\tb\":0}", REFUSED),
	ROW("7 no other escapes: \\e", "[\"\\e\"]", REFUSED),
	ROW("7 no other escapes: \\x00", "[\"\\x00\"]", REFUSED),
	ROW("7 no other escapes: \\101", "[\"\\101\"]", REFUSED),
	ROW("7 no other escapes: \\?", "[\"\\?\"]", REFUSED),
	ROW("7 no other escapes: uppercase", "[\"\\T\"]", REFUSED),
	ROW("7 no other escapes: a space", "[\"\\ \"]", REFUSED),
	ROW("7 no other escapes: a line feed", "[\"a\\\nb\"]", REFUSED),
	ROW("7 no other escapes: a character over ASCII", "[\"\\\xf0\x9f\x8c\x80\"]", REFUSED),
	ROW("7 no other escapes: a byte that is no UTF-8", "[\"\\\xe5\"]", REFUSED),
	ROW("7 four hexadecimal digits: none", "[\"\\u\"]", REFUSED),
	ROW("7 four hexadecimal digits: three", "[\"\\u00A\"]", REFUSED),
	ROW("7 four hexadecimal digits: letters", "[\"\\uqqqq\"]", REFUSED),
	ROW("7 four hexadecimal digits: in brackets", "[\"\\u{110000}\"]", REFUSED),
	ROW("7 four hexadecimal digits: a sign", "[\"\\u+041\"]", REFUSED),
	ROW("7 four hexadecimal digits: 0x", "[\"\\u0x41\"]", REFUSED),
	ROW("7 four hexadecimal digits: U in uppercase", "[\"\\U0041\"]", REFUSED),
	ROW("7 four hexadecimal digits: a byte that is no UTF-8", "[\"\\u\xe5" "000\"]", REFUSED),

	ROW("8.1 UTF-8: two, three and four bytes", "\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\"", 1),
	ROW("8.1 UTF-8: what is no character too, U+FFFE", "\"\xef\xbf\xbe\xf4\x8f\xbf\xbe\"", 1),
	ROW("8.1 UTF-8: private use", "\"\xee\x80\x80\xef\xa3\xbf\"", 1),
	ROW("8.1 a byte order mark may be ignored, ours is refused", "\xef\xbb\xbf[]", REFUSED),
	ROW("8.1 a byte order mark alone", "\xef\xbb\xbf", REFUSED),
	ROW("8.1 a byte order mark that is cut", "\xef\xbb{}", REFUSED),
	ROW("8.1 no UTF-16: little end first", "[\0\"\0\xe9\0\"\0]\0", REFUSED),
	ROW("8.1 no UTF-16: big end first", "\0[\0\"\0\xe9\0\"\0]", REFUSED),
	ROW("8.1 no UTF-16: with a byte order mark", "\xff\xfe[\0]\0", REFUSED),
	ROW("8.1 no UTF-32", "[\0\0\0]\0\0\0", REFUSED),
	ROW("8.1 no Latin-1", "[\"\xe9\"]", REFUSED),
	ROW("8.1 no byte alone: continuation", "[\"\x81\"]", REFUSED),
	ROW("8.1 no byte alone: lead of two", "[\"a\xdf\"]", REFUSED),
	ROW("8.1 no byte alone: lead of three, one follows", "[\"\xe0\xa4\"]", REFUSED),
	ROW("8.1 no byte alone: lead of four, two follow", "[\"\xf0\x90\x80\"]", REFUSED),
	ROW("8.1 no overlong form: of a slash", "[\"\xc0\xaf\"]", REFUSED),
	ROW("8.1 no overlong form: of a quote, which ends nothing", "[\"\xc0\xa2]", REFUSED),
	ROW("8.1 no overlong form: three bytes", "[\"\xe0\x80\xaf\"]", REFUSED),
	ROW("8.1 no overlong form: four bytes", "[\"\xf0\x80\x80\xaf\"]", REFUSED),
	ROW("8.1 no overlong form: six bytes", "[\"\xfc\x83\xbf\xbf\xbf\xbf\"]", REFUSED),
	ROW("8.1 no surrogate", "[\"\xed\xb0\x80\"]", REFUSED),
	ROW("8.1 no pair of surrogates", "[\"\xed\xa0\xbd\xed\xb8\x80\"]", REFUSED),
	ROW("8.1 nothing over U+10FFFF", "[\"\xf4\xbf\xbf\xbf\"]", REFUSED),
	ROW("8.1 nothing over U+10FFFF: F5", "[\"\xf5\x80\x80\x80\"]", REFUSED),
	ROW("8.2 a lone surrogate is not predictable, ours is refused: first", "[\"\\uDADA\"]", REFUSED),
	ROW("8.2 a lone surrogate: first, then text", "[\"\\ud800abc\"]", REFUSED),
	ROW("8.2 a lone surrogate: first, then another escape", "[\"\\uD800\\n\"]", REFUSED),
	ROW("8.2 a lone surrogate: first, then an escaped backslash", "[\"\\uD800\\\\uDC00\"]", REFUSED),
	ROW("8.2 a lone surrogate: first twice", "[\"\\uD888\\uD888\"]", REFUSED),
	ROW("8.2 a lone surrogate: second", "[\"\\uDFAA\"]", REFUSED),
	ROW("8.2 a lone surrogate: in the wrong order", "[\"\\uDd1e\\uD834\"]", REFUSED),
	ROW("8.2 a lone surrogate: behind a pair", "[\"\\uD834\\uDD1E\\uDD1E\"]", REFUSED),
	ROW("8.2 a lone surrogate: half an escape, half UTF-8", "[\"\\uD834\xed\xb4\x9e\"]", REFUSED),
	ROW("8.2 a lone surrogate: in a name", "{\"\\uDEAD\":0}", REFUSED),
	ROW("8.3 names are compared by their characters: the example", "{\"a\\\\b\":0,\"a\\u005Cb\":0}", REFUSED),
	ROW("8.3 names are compared by their characters: a pair",
			"{\"\\uD834\\uDD1E\":0,\"\xf0\x9d\x84\x9e\":0}", REFUSED),
	ROW("8.3 names are compared by their characters, not by their case", "{\"a\":0,\"A\":0}", 5),
	ROW("8.3 names are compared by their characters, not normalised",
			"{\"\\u00e9\":0,\"e\\u0301\":0}", 5),
	ROW("8.3 names are compared by their characters, not by their numbers", "{\"1\":0,\"01\":0,\"1.0\":0}", 7),

	ROW("9 U+0000 may be refused, and ours is", "[\"\\u0000\"]", REFUSED),
	ROW("9 U+0000 may be refused, and ours is, in a name", "{\"\\u0000\":0}", REFUSED),

	ROW("12 no program", "alert(1)", REFUSED),
	ROW("12 no prefix against scripts", ")]}',\n{}", REFUSED),

	ROW("13 the first example",
		"{\n  \"Image\": {\n      \"Width\":  800,\n      \"Height\": 600,\n"
		"      \"Title\":  \"View from 15th Floor\",\n      \"Thumbnail\": {\n"
		"          \"Url\":    \"http://www.example.com/image/481989943\",\n"
		"          \"Height\": 125,\n          \"Width\":  100\n      },\n"
		"      \"Animated\" : false,\n      \"IDs\": [116, 943, 234, 38793]\n    }\n}\n", 25),
	ROW("13 the second example",
		"[\n  {\n     \"precision\": \"zip\",\n     \"Latitude\":  37.7668,\n"
		"     \"Longitude\": -122.3959,\n     \"Address\":   \"\",\n"
		"     \"City\":      \"SAN FRANCISCO\",\n     \"State\":     \"CA\",\n"
		"     \"Zip\":       \"94107\",\n     \"Country\":   \"US\"\n  },\n  {\n"
		"     \"precision\": \"zip\",\n     \"Latitude\":  37.371991,\n"
		"     \"Longitude\": -122.026020,\n     \"Address\":   \"\",\n"
		"     \"City\":      \"SUNNYVALE\",\n     \"State\":     \"CA\",\n"
		"     \"Zip\":       \"94085\",\n     \"Country\":   \"US\"\n  }\n]", 35),
	ROW("13 a small text: a string", "\"Hello world!\"", 1),
	ROW("13 a small text: a number", "42", 1),
};
/* clang-format on */

/* From a block of just its size, so that a step past its end is seen. */
static bool accepts(struct text t, uint32_t *ret_values)
{
	static const struct json_limits limits = {.bytes = 4096, .depth = 16, .values = 100};
	struct arena arena;
	struct json json;
	struct json_error error;
	char *bytes = malloc(t.size);
	assert_non_null(bytes);
	memcpy(bytes, t.data, t.size);
	arena_init(&arena, NULL);
	bool accepted = json_parse(&json, &arena, (struct text){bytes, t.size}, &limits, &error);
	*ret_values = accepted ? json.count : 0;
	arena_deinit(&arena);
	free(bytes);
	return accepted;
}

static void test_row(void **state)
{
	const struct row *row = *state;
	uint32_t values;
	assert_int_equal(accepts(row->text, &values), row->values > 0);
	assert_int_equal(values, row->values);
	assert_int_equal(live_report(), 0);
}

/* Between any two tokens white space may stand, and no other byte. */
static void test_every_byte_between_tokens(void **state)
{
	static const struct text tokens[] = {{"[", 1}, {"\"a\"", 3}, {",", 1}, {"{", 1},
			{"\"b\"", 3}, {":", 1}, {"null", 4}, {",", 1}, {"\"c\"", 3}, {":", 1},
			{"[", 1}, {"true", 4}, {"]", 1}, {"}", 1}, {"]", 1}};
	for (size_t before = 0; before <= COUNT(tokens); before++)
		for (unsigned byte = 0; byte < 256; byte++) {
			char bytes[64];
			size_t size = 0;
			uint32_t values;
			for (size_t i = 0; i <= COUNT(tokens); i++) {
				if (i == before)
					bytes[size++] = (char)byte;
				if (i == COUNT(tokens))
					break;
				memcpy(bytes + size, tokens[i].data, tokens[i].size);
				size += tokens[i].size;
			}
			bool space = byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
			assert_int_equal(accepts((struct text){bytes, size}, &values), space);
			assert_int_equal(values, space ? 8 : 0);
		}
}

int main(void)
{
	struct CMUnitTest tests[COUNT(rows) + 1] = {
			{.name = "2 white space and nothing else between tokens",
					.test_func = test_every_byte_between_tokens}};
	for (size_t i = 0; i < COUNT(rows); i++)
		tests[i + 1] = (struct CMUnitTest){.name = rows[i].rule,
				.test_func = test_row,
				.initial_state = (void *)&rows[i]};
	return cmocka_run_group_tests_name("rfc8259", tests, NULL, NULL);
}
