# SPDX-License-Identifier: GPL-3.0-or-later
"""The head's look, in GLSL: skin, eyes, mouth, hair and cloth under soft light."""

from __future__ import annotations

from typing import Final

from portrait_server.corpora.rendered.head_model import Part

VERTEX: Final = """
#version 330
uniform mat4 camera;
in vec3 position, normal, other, rest;
in vec2 shade, photo;
in float part, trust;
in vec4 tints;
out vec3 v_position, v_normal, v_other, v_rest;
out vec2 v_shade, v_photo;
out float v_trust;
flat out int v_part;
out vec4 v_tints;
void main() {
    v_position = position; v_normal = normal; v_other = other; v_rest = rest;
    v_shade = shade; v_photo = photo; v_trust = trust; v_part = int(part + 0.5); v_tints = tints;
    gl_Position = camera * vec4(position, 1.0);
}
"""

# Shared by both passes, so that what is cut away is cut away in both.
_CUT: Final = """
uniform sampler3D noise;
uniform vec3 hair_grain;
in vec3 v_position, v_normal, v_other, v_rest;
in vec2 v_shade, v_photo;
in float v_trust;
flat in int v_part;
in vec4 v_tints;
const int SKIN = 0, MOUTH = 1, GUMS = 2, TEETH = 3, EYE = 4, HAIR = 5, CLOTH = 6, GLASSES = 7, FRINGE = 8;
vec4 grain(vec3 p) { return texture(noise, p); }
vec3 strands() { return vec3(v_photo * hair_grain.xy, hair_grain.z); }
bool cut() { return v_part == HAIR && v_tints.x < 0.15 + 0.7 * grain(strands()).r; }
"""

_LOOK: Final = (
    _CUT
    + """
uniform sampler2D photograph;
uniform sampler2D panorama;
uniform vec3 around[9], light_way[3], light_color[3];
uniform vec3 fringe, skin, blood, lip, iris, sclera, hair, cloth, collar, tooth;
uniform vec4 skin_look;   // mottling, freckles, gloss, beard
uniform vec4 cloth_look;  // pattern, its size, collar's depth, its width
uniform vec3 eye_middle[2];
uniform vec2 pupil;       // radius of iris and of pupil, centimetres
uniform float exposure;
out vec4 color;

vec3 from_around(vec3 n) {
    vec3 sum = 0.282095 * around[0] + 0.488603 * (n.y * around[1] + n.z * around[2] + n.x * around[3]);
    sum += 1.092548 * (n.x * n.y * around[4] + n.y * n.z * around[5] + n.x * n.z * around[7]);
    return max(sum + 0.315392 * (3.0 * n.z * n.z - 1.0) * around[6] + 0.546274 * (n.x * n.x - n.y * n.y) * around[8], 0.0);
}

vec3 reflected(vec3 n) {
    vec3 way = reflect(normalize(v_position), n);
    return texture(panorama, vec2(atan(way.x, -way.z) / 6.2831853 + 0.5, asin(clamp(way.y, -1.0, 1.0)) / 3.1415927 + 0.5)).rgb;
}

vec3 lit(vec3 albedo, vec3 n, vec3 wrap, float gloss, float sharp) {
    vec3 view = normalize(-v_position);
    vec3 sum = albedo * from_around(n);
    for (int i = 0; i < 3; i++) {
        float c = dot(n, light_way[i]);
        // Light creeps around skin, red furthest.
        sum += albedo * light_color[i] * clamp((vec3(c) + wrap) / (1.0 + wrap), 0.0, 1.0);
        vec3 h = normalize(light_way[i] + view);
        float edge = 1.0 - max(dot(view, h), 0.0), fresnel = 0.3 + 0.7 * edge * edge * edge;
        sum += light_color[i] * gloss * fresnel * pow(max(dot(n, h), 0.0), sharp) * step(0.0, c);
    }
    return sum;
}

vec3 skin_color(vec3 n) {
    vec4 fine = grain(v_rest * 0.31), mid = grain(v_rest * 0.07), wide = grain(v_rest * 0.012);
    vec3 made = skin * (1.0 + skin_look.x * ((fine.r - 0.5) * 0.4 + (mid.g - 0.5) * 0.35 + (wide.b - 0.5) * 0.5));
    made = mix(made, made * blood, clamp(v_tints.y * (0.1 + 0.5 * mid.b + 0.5 * wide.g), 0.0, 0.8));
    made *= 1.0 - skin_look.y * smoothstep(0.68, 0.8, mid.a) * (0.4 + v_tints.y);
    float lips = smoothstep(0.25, 0.75, v_tints.x);
    made = mix(made, lip * (0.8 + 0.4 * fine.b), lips);
    made = mix(made, hair * 0.6, skin_look.w * v_tints.w * smoothstep(0.2, 0.8, fine.g));
    made = mix(made, hair * 0.7 + 0.01, 0.3 * v_tints.z * (1.0 - v_trust));
    vec3 seen = texture(photograph, v_photo).rgb;
    vec3 albedo = mix(made, seen * seen, v_trust);
    // A photograph has its own light: little is added to it.
    vec3 wrap = mix(vec3(0.35, 0.18, 0.12), vec3(1.8), v_trust);
    float gloss = (skin_look.z * (0.6 + 0.8 * fine.g) + 0.12 * lips) * (1.0 - 0.9 * v_trust);
    return lit(albedo, n, wrap, gloss, 16.0 + 30.0 * lips) * v_shade.x;
}

vec3 eye_color(vec3 n) {
    vec3 from_middle = v_rest - eye_middle[v_rest.x < 0.0 ? 0 : 1];
    vec2 q = from_middle.xy;
    float r = from_middle.z > 0.0 ? length(q) : 9.0, angle = atan(q.y, q.x);
    vec4 mid = grain(vec3(q * 0.25, 0.3));
    float bent = grain(vec3(q * 0.5, 0.7)).r * 0.35;
    float vein = 1.0 - abs(2.0 * grain(vec3(q.x * 0.10 + bent * 0.1, q.y * 0.9 + bent, 0.2 + v_rest.x * 0.01)).g - 1.0);
    float out_there = smoothstep(pupil.x, pupil.x + 0.8, r);
    vec3 white = sclera * (0.95 + 0.1 * mid.r);
    white = mix(white, white * vec3(0.95, 0.62, 0.55), 0.55 * out_there * pow(vein, 6.0));
    white *= mix(vec3(1.0), vec3(0.93, 0.78, 0.72), 0.7 * out_there);
    float spokes = grain(vec3(cos(angle), sin(angle), r * 0.25) * 1.1).b;
    vec3 ring = iris * (0.55 + 0.9 * spokes) * mix(1.35, 0.75, smoothstep(pupil.y, pupil.x, r));
    ring *= 1.0 - 0.65 * smoothstep(pupil.x * 0.80, pupil.x, r);
    ring = mix(vec3(0.004), ring, smoothstep(pupil.y - 0.05, pupil.y + 0.05, r));
    vec3 albedo = mix(ring, white, smoothstep(pupil.x - 0.07, pupil.x + 0.09, r));
    vec3 shine = lit(albedo, n, vec3(0.5, 0.4, 0.4), 0.0, 10.0) * v_shade.x;
    // The cornea bulges over the iris, and all of the eye is wet: it mirrors what is before it, but not under the lid.
    vec3 bulge = normalize(n + 0.45 * (1.0 - smoothstep(0.5 * pupil.x, 1.25 * pupil.x, r)) * vec3(q.x, -q.y, 0.0) / pupil.x);
    float edge = 1.0 - max(dot(bulge, -normalize(v_position)), 0.0);
    float mirrors = 0.035 + 0.4 * edge * edge * edge * edge;
    shine += mirrors * reflected(bulge) * smoothstep(0.35, 0.8, v_shade.x);
    return shine + v_shade.y * (0.12 * lit(vec3(0.9, 0.75, 0.7), n, vec3(0.5), 0.3, 20.0) + 0.1 * reflected(n));
}

vec3 cloth_color(vec3 n) {
    float fold = grain(v_rest * vec3(0.012, 0.006, 0.012)).r + 0.5 * grain(v_rest * vec3(0.05, 0.012, 0.05)).g;
    vec3 made = cloth * (0.7 + 0.4 * fold);
    vec2 weave = vec2(v_rest.x, v_rest.y) * cloth_look.y;
    if (cloth_look.x > 2.5) made *= 0.7 + 0.6 * step(0.5, fract(weave.x)) * step(0.5, fract(weave.y));
    else if (cloth_look.x > 1.5) made *= 0.75 + 0.5 * smoothstep(0.4, 0.6, abs(fract(weave.y) - 0.5) * 2.0);
    else if (cloth_look.x > 0.5) made *= 0.8 + 0.45 * smoothstep(0.45, 0.55, abs(fract(weave.x) - 0.5) * 2.0);
    float open = cloth_look.z - (-15.0 - v_rest.y) - abs(v_rest.x) * cloth_look.w;
    if (v_rest.z > 0.0) made = mix(made, collar, smoothstep(0.0, 0.25, open));
    return lit(made, n, vec3(0.25), 0.0, 10.0) * v_shade.x;
}

vec3 inside_color(vec3 n) {
    vec4 wet = grain(v_rest * 0.45);
    vec3 flesh = lip * vec3(1.0, 0.75, 0.75) * (0.7 + 0.6 * wet.g);
    bool enamel = v_part == TEETH;
    return lit(enamel ? tooth * (0.9 + 0.2 * wet.r) : flesh, n, vec3(0.3), enamel ? 0.12 : 0.08, 45.0) * v_shade.x;
}

vec3 hair_color(vec3 n) {
    vec4 strand = grain(strands()), lock = grain(strands() * vec3(0.12, 0.4, 1.0) + 0.37);
    vec3 made = hair * (0.45 + 0.7 * strand.g * (0.4 + lock.r) + 0.35 * lock.b);
    vec3 sum = lit(made, n, vec3(0.4), 0.0, 10.0);
    // Along a strand nothing changes across: that way is its tangent. It shines as a thin cylinder does (Kajiya, Kay).
    vec3 across = dFdx(v_position) * dFdy(v_photo.x) - dFdy(v_position) * dFdx(v_photo.x);
    vec3 tangent = normalize(across + 0.15 * (lock.rgb - 0.5) * length(across) + 1e-9), view = normalize(-v_position);
    for (int i = 0; i < 3; i++) {
        float along = dot(tangent, normalize(light_way[i] + view)), c = sqrt(max(1.0 - along * along, 0.0));
        float facing = smoothstep(-0.2, 0.5, dot(n, light_way[i]));
        sum += light_color[i] * facing * (0.05 * pow(c, 90.0) + hair * 0.8 * pow(c, 22.0)) * (0.3 + strand.b);
    }
    return sum * v_shade.x;
}

// How much of the skin behind it a fringe covers.
float fringe_cover() {
    float along = v_photo.x, up = v_photo.y;
    if (v_tints.y < 0.5) {
        // Lashes stand in bundles, which lean, and thin out towards their tips.
        float lower = step(1.5, along), high_most = 1.0 - 0.45 * lower;
        along -= 2.0 * lower;
        float at = along * 34.0 + 1.6 * (along - 0.5) * up;
        vec4 own = grain(vec3(floor(at) * 0.137, 0.3, v_rest.x > 0.0 ? 0.2 : 0.7));
        float high = high_most * (0.55 + 0.4 * own.r), beside = abs(fract(at) - 0.5 + 0.5 * (own.g - 0.5));
        float ends = smoothstep(0.0, 0.12, along) * smoothstep(1.0, 0.93, along);
        float thin = clamp(1.0 - up / high, 0.0, 1.0);
        return (0.95 - 0.4 * lower) * ends * sqrt(thin) * smoothstep(0.5, 0.2, beside / (0.25 + 0.75 * thin));
    }
    // Brow hairs stand up beside the nose and lie down towards the temple.
    float lies = smoothstep(0.0, 2.2, along), half_high = 0.5 * mix(1.0, 0.35, smoothstep(2.2, 4.8, along));
    float off = abs(up - 0.5) / half_high;
    vec2 way = mix(vec2(0.25, 1.0), vec2(1.0, 0.12), lies);
    vec2 hairs = vec2(along * way.y - up * way.x, along * way.x + up * way.y);
    float stroke = grain(vec3(hairs.x * 0.5, hairs.y * 0.05, 0.4)).r * 0.6 + grain(vec3(hairs.x * 0.23, hairs.y * 0.04, 0.8)).g * 0.4;
    float dense = smoothstep(1.0, 0.35, off) * smoothstep(0.0, 0.5, along) * smoothstep(5.4, 4.0, along);
    return 0.9 * smoothstep(0.8 - 0.5 * dense, 1.1 - 0.5 * dense, stroke) * smoothstep(0.0, 0.2, dense);
}

vec3 fringe_color(vec3 n) { return lit(v_tints.y < 0.5 ? fringe : hair * 0.6 + 0.004, n, vec3(0.6), 0.02, 20.0); }

vec3 rim_color(vec3 n) { return lit(v_tints.rgb, n, vec3(0.0), 0.5, 60.0); }

void main() {
#ifdef CUT
    if (cut()) discard;
#endif
    vec3 light = max(LOOK_OF(normalize(v_normal)) * exposure, 0.0);
    // As film does, bright parts are compressed rather than clipped.
    vec3 bright = max(light - 0.5, 0.0);
    float cover = 1.0;
#ifdef SEE_THROUGH
    cover = fringe_cover();
#endif
    color = vec4(sqrt(min(light, 0.5) + 0.5 * bright / (bright + 0.5)), 1.0) * cover;
}
"""
)

LOOKS: Final = {
    "hair_color": (Part.HAIR,),
    "cloth_color": (Part.CLOTH,),
    "rim_color": (Part.GLASSES,),
    "skin_color": (Part.SKIN,),
    "eye_color": (Part.EYE,),
    "inside_color": (Part.MOUTH, Part.GUMS, Part.TEETH),
    "fringe_color": (Part.FRINGE,),
}
"""Which parts each function colours, what hides others first, and last what lets others through.

A program for each: on a CPU, OpenGL pays for both sides of a branch.
"""

SOLID: Final = ("skin_color", "eye_color", "inside_color")
"""Those without holes, whose inner sides are never seen."""

SEE_THROUGH: Final = "fringe_color"
"""Laid over what is there, thinly. It has no place of its own: a pixel under lashes shows the skin behind them."""


def look(function: str) -> str:
    """The fragment shader of one of `LOOKS`."""
    # A shader that may cut pixels away is run even where something nearer hides them.
    cut = {SEE_THROUGH: "#define SEE_THROUGH\n"}.get(function, "" if function in SOLID else "#define CUT\n")
    return f"#version 330\n#define LOOK_OF {function}\n{cut}" + _LOOK


_PLACES: Final = (
    _CUT
    + """
uniform mat4 other_camera;
uniform float side;
out vec4 place, surface;
void main() {
#ifdef CUT
    if (cut()) discard;
#endif
    vec4 there = other_camera * vec4(v_other, 1.0);
    place = vec4((there.xy / there.w * 0.5 + 0.5) * side - 0.5, v_other.z, 1.0);
    surface = vec4(v_rest, float(v_part) + 1.0);
}
"""
)


def places(cut: bool) -> str:
    """The fragment shader that tells where a pixel is elsewhere, of parts with or without holes."""
    return "#version 330\n" + ("#define CUT\n" if cut else "") + _PLACES
