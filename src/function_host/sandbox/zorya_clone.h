/* libzorya_clone.so: makes execution environments out of a runtime that has finished INIT (a
 * template). Python loads it with ctypes.PyDLL, so that the interpreter's lock is held throughout.
 */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* INIT and the before-snapshot hooks are done. `report_json`: what the runtime knows of itself, an
 * object with any of "threads": count, "connections": count, "shared_maps": count, "notes": [text]
 * 0: this is a template and the host took note; call zorya_clone_loop() next.
 * 1: this environment is not a template (SnapStart runs cold here): GET restore/next instead, as
 * any runtime does. Blocks until the host answers. If the host finds that the process cannot be
 * cloned (threads), it ends it here. */
int zorya_template_ready(const char* report_json);

/* In the template it never returns (the process ends when the host closes the control socket). In
 * each clone it returns 0 once the host says go: the sandbox is complete, file descriptor 3 is
 * closed, standard output and error are the clone's own; randomness, temporary names, clocks and
 * credentials are still the template's. */
int zorya_clone_loop(void);

#ifdef __cplusplus
}
#endif
