/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A name that nobody answers for: who looks up HELD_NAME waits until the process ends. All others
 * are looked up as they are everywhere.
 */
#define HELD_NAME "held.example"

/* Waits until somebody looks it up. */
void held_name_wait(void);
