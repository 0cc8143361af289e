-- SPDX-License-Identifier: Apache-2.0
-- A catalog of 10,000 products, each with the symbols that it is quoted under, as JSON text. Dice that begin with a
-- seed decide on prices and symbols, so the catalog is the same everywhere. To make it:
--
--     sqlite3 catalog.db < tests/demo/catalog.sql

BEGIN;

CREATE TABLE product (
	sku TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	price REAL NOT NULL,
	symbols TEXT NOT NULL CHECK (json_type(symbols) = 'array')
) WITHOUT ROWID;

WITH RECURSIVE
material(at, name, code) AS (VALUES
	(0, 'Aluminium', 'AL'), (1, 'Antimony', 'SB'), (2, 'Bismuth', 'BI'), (3, 'Brass', 'BRS'), (4, 'Bronze', 'BRZ'),
	(5, 'Chromium', 'CR'), (6, 'Cobalt', 'CO'), (7, 'Copper', 'CU'), (8, 'Gold', 'AU'), (9, 'Iron', 'FE'),
	(10, 'Lead', 'PB'), (11, 'Magnesium', 'MG'), (12, 'Nickel', 'NI'), (13, 'Palladium', 'PD'), (14, 'Platinum', 'PT'),
	(15, 'Silver', 'AG'), (16, 'Steel', 'STL'), (17, 'Tin', 'SN'), (18, 'Titanium', 'TI'), (19, 'Zinc', 'ZN')),
form(at, name) AS (VALUES
	(0, 'bar'), (1, 'billet'), (2, 'coil'), (3, 'foil'), (4, 'plate'),
	(5, 'rod'), (6, 'sheet'), (7, 'strip'), (8, 'tube'), (9, 'wire')),
-- When it is delivered; each has a bit in the mask of a product's symbols.
delivery(bit, name) AS (VALUES (1, 'SPOT'), (2, '3M'), (4, '6M'), (8, '12M')),
-- The first roll is the seed; each makes the next (a linear congruential generator, whose high bits are the good ones).
dice(number, roll) AS (
	SELECT 1, 20240229
	UNION ALL
	SELECT number + 1, (roll * 1103515245 + 12345) & 0x7fffffff FROM dice WHERE number < 10000)
INSERT INTO product
SELECT
	printf('P-%05d', number),
	printf('%s %s %d mm', material.name, form.name, 1 + (number - 1) / 200),
	round((1000 + (roll >> 12) % 49000) / 100.0, 2),
	(SELECT json_group_array(material.code || '-' || delivery.name)
		FROM delivery WHERE delivery.bit & (1 + (roll >> 16) % 15))
FROM dice
JOIN material ON material.at = (number - 1) % 20
JOIN form ON form.at = (number - 1) / 20 % 10;

COMMIT;
