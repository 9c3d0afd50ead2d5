/* Reads PDUs as lines of hex, has libsmpp34 read each and write it again, and says `ok` or what is wrong, a line each. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libsmpp34/smpp34.h>
#include <libsmpp34/smpp34_structs.h>
#include <libsmpp34/smpp34_params.h>

#define OCTETS 70000

typedef union {
    bind_transceiver_t bind;
    submit_sm_t submit;
    submit_multi_t multi;
    submit_multi_resp_t multi_resp;
    deliver_sm_t deliver;
    data_sm_t data;
    uint8_t room[8192];
} any_pdu;

static size_t from_hex(const char *line, uint8_t *out) {
    size_t count = 0;
    unsigned value;
    while (count < OCTETS && sscanf(line + 2 * count, "%2x", &value) == 1) out[count++] = (uint8_t)value;
    return count;
}

/* Read and write once. It keeps TLVs as a stack: what it writes has them in the other order, so twice is the same. */
static const char *around(uint8_t *in, size_t count, uint8_t *out, int *written) {
    static any_pdu pdu;
    uint32_t command = (uint32_t)in[4] << 24 | (uint32_t)in[5] << 16 | (uint32_t)in[6] << 8 | in[7];
    memset(&pdu, 0, sizeof pdu);
    if (count < 16) return "shorter than a header";
    if (smpp34_unpack(command, &pdu, in, (int)count)) return "cannot read it";
    if (smpp34_pack(command, out, OCTETS, written, &pdu)) return "cannot write it again";
    return NULL;
}

int main(void) {
    static char line[2 * OCTETS + 2];
    static uint8_t octets[OCTETS], once[OCTETS], twice[OCTETS];
    while (fgets(line, sizeof line, stdin)) {
        size_t count = from_hex(line, octets);
        int first = 0, second = 0;
        const char *fault = around(octets, count, once, &first);
        if (!fault) fault = around(once, (size_t)first, twice, &second);
        if (fault) {
            printf("%s: %s\n", fault, smpp34_strerror);
        } else if ((size_t)second != count || memcmp(twice, octets, count)) {
            printf("writes other octets: ");
            for (int at = 0; at < second; at++) printf("%02x", twice[at]);
            printf("\n");
        } else {
            printf("ok\n");
        }
    }
    return 0;
}
