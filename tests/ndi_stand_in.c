/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Stands for NDI's library: the functions that are used, after its public header, which write what they get to the file
 * that NDI_STAND_IN_LOG names. It sends nothing.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct { const char *p_ndi_name; const char *p_groups; bool clock_video; bool clock_audio; } NDIlib_send_create_t;
typedef struct { int length; int64_t timecode; char *p_data; } NDIlib_metadata_frame_t;
typedef struct {
    int xres, yres;
    uint32_t FourCC;
    int frame_rate_N, frame_rate_D;
    float picture_aspect_ratio;
    int frame_format_type;
    int64_t timecode;
    uint8_t *p_data;
    int line_stride_in_bytes;
    const char *p_metadata;
    int64_t timestamp;
} NDIlib_video_frame_v2_t;

static FILE *log_file(void) {
    return fopen(getenv("NDI_STAND_IN_LOG"), "ab");
}

bool NDIlib_initialize(void) {
    return getenv("NDI_STAND_IN_REFUSES") == NULL;
}

void NDIlib_destroy(void) {
    FILE *file = log_file();
    fprintf(file, "destroy\n");
    fclose(file);
}

void *NDIlib_send_create(const NDIlib_send_create_t *made) {
    if (getenv("NDI_STAND_IN_FULL") != NULL)
        return NULL;
    FILE *file = log_file();
    fprintf(file, "create %s|%s|%d|%d\n", made->p_ndi_name, made->p_groups ? made->p_groups : "", made->clock_video, made->clock_audio);
    fclose(file);
    return malloc(1);
}

void NDIlib_send_destroy(void *sender) {
    FILE *file = log_file();
    fprintf(file, "send_destroy\n");
    fclose(file);
    free(sender);
}

void NDIlib_send_add_connection_metadata(void *sender, const NDIlib_metadata_frame_t *told) {
    FILE *file = log_file();
    (void)sender;
    fprintf(file, "metadata %d %lld %s\n", told->length, (long long)told->timecode, told->p_data);
    fclose(file);
}

void NDIlib_send_send_video_v2(void *sender, const NDIlib_video_frame_v2_t *frame) {
    FILE *file = log_file();
    (void)sender;
    fprintf(file, "frame %d %d %.4s %d %d %.4f %d %lld %d %s\n", frame->xres, frame->yres, (const char *)&frame->FourCC,
            frame->frame_rate_N, frame->frame_rate_D, frame->picture_aspect_ratio, frame->frame_format_type,
            (long long)frame->timecode, frame->line_stride_in_bytes, frame->p_metadata);
    fprintf(file, "pixels ");
    for (int y = 0; y < frame->yres; y++)
        for (int x = 0; x < 4 * frame->xres; x++)
            fprintf(file, "%02x", frame->p_data[y * frame->line_stride_in_bytes + x]);
    fprintf(file, "\n");
    fclose(file);
}
