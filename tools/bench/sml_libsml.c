#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sml/sml_file.h>

/* As sml_worker.py: a round for every line on stdin; FILE is the telegrams in order. */
int main(int count, char **words) {
    static unsigned char all[1 << 24];
    FILE *file = fopen(words[1], "rb");
    size_t size = fread(all, 1, sizeof all, file);
    char line[16];
    int warm = 1;
    while (warm || fgets(line, sizeof line, stdin)) {
        struct timespec begin, end;
        long telegrams = 0;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
        for (size_t at = 0; at < size; telegrams++) {
            size_t length = all[at + 2] | all[at + 3] << 8;
            sml_file *parsed = sml_file_parse(all + at + 12, length - 16);
            sml_file_free(parsed);
            at += 4 + length;
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        if (!warm) {
            long ns = (end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec;
            printf("%ld\n", ns / telegrams);
            fflush(stdout);
        }
        warm = 0;
    }
    return 0;
}
