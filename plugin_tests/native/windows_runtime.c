/* What the C runtime, linked into a DLL, has that no library of Windows has, by name alone: this is never run. */
#include <stddef.h>

unsigned long _tls_index;

int snprintf(char *text, size_t size, const char *format, ...) {
    return (text && size && format) ? 0 : -1;
}

void ___chkstk_ms(void) {
}

int DllMainCRTStartup(void *library, unsigned long reason, void *reserved) {
    return library && reason && reserved;
}
