/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A record as it stands in telemetry: the members that docs/telemetry.md lists for `request`.
 */
struct buffer;
struct record;

/* Appends the members, each with a comma before it. */
void feed_write_record(struct buffer *buffer, const struct record *record);
