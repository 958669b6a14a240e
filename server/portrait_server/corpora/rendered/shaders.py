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
const int SKIN = 0, MOUTH = 1, GUMS = 2, TEETH = 3, EYE = 4, HAIR = 5, CLOTH = 6, GLASSES = 7;
vec4 grain(vec3 p) { return texture(noise, p); }
vec3 strands() { return vec3(atan(v_rest.x, -v_rest.z) * hair_grain.x, v_rest.y * hair_grain.y, length(v_rest) * 0.05); }
bool cut() { return v_part == HAIR && v_tints.x < 0.15 + 0.7 * grain(strands()).r; }
"""

_LOOK: Final = (
    _CUT
    + """
uniform sampler2D photograph;
uniform vec3 ambient_sky, ambient_ground, light_way[3], light_color[3];
uniform vec3 skin, blood, lip, iris, sclera, hair, cloth, collar, tooth;
uniform vec4 skin_look;   // mottling, freckles, gloss, beard
uniform vec4 cloth_look;  // pattern, its size, collar's depth, its width
uniform vec3 eye_middle[2];
uniform vec2 pupil;       // radius of iris and of pupil, centimetres
uniform float exposure;
out vec4 color;

vec3 lit(vec3 albedo, vec3 n, vec3 wrap, float gloss, float sharp) {
    vec3 view = normalize(-v_position);
    vec3 sum = albedo * mix(ambient_ground, ambient_sky, 0.5 - 0.5 * n.y);
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
    made = mix(made, made * blood, clamp(v_tints.y * (0.4 + 0.5 * mid.b + 0.5 * wide.g), 0.0, 1.0));
    made *= 1.0 - skin_look.y * smoothstep(0.68, 0.8, mid.a) * (0.4 + v_tints.y);
    float lips = smoothstep(0.25, 0.75, v_tints.x);
    made = mix(made, lip * (0.8 + 0.4 * fine.b), lips);
    made = mix(made, hair * 0.6, skin_look.w * v_tints.w * smoothstep(0.2, 0.8, fine.g));
    float brow = smoothstep(0.25, 0.85, v_tints.z + 0.35 * (mid.b - 0.5) + 0.35 * (fine.a - 0.5));
    made = mix(made, hair * 0.7 + 0.01, 0.85 * brow);
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
    shine += lit(vec3(0.0), n, vec3(0.0), 1.6, 260.0) * smoothstep(0.35, 0.8, v_shade.x);
    return shine + v_shade.y * 0.25 * lit(vec3(0.9, 0.75, 0.7), n, vec3(0.5), 0.5, 20.0);
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
    vec4 strand = grain(strands()), lock = grain(strands() * vec3(0.22, 0.5, 1.0) + 0.37);
    vec3 made = hair * (0.25 + 1.1 * strand.g * (0.4 + lock.r));
    return lit(made, n, vec3(0.25), 0.03 + 0.10 * strand.b * lock.g, 14.0) * v_shade.x;
}

vec3 rim_color(vec3 n) { return lit(v_tints.rgb, n, vec3(0.0), 0.5, 60.0); }

void main() {
#ifdef CUT
    if (cut()) discard;
#endif
    vec3 light = max(LOOK_OF(normalize(v_normal)) * exposure, 0.0);
    // As film does, bright parts are compressed rather than clipped.
    vec3 bright = max(light - 0.5, 0.0);
    color = vec4(sqrt(min(light, 0.5) + 0.5 * bright / (bright + 0.5)), 1.0);
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
}
"""Which parts each function colours, what hides others first.

A program for each: on a CPU, OpenGL pays for both sides of a branch.
"""

SOLID: Final = ("skin_color", "eye_color", "inside_color")
"""Those without holes, whose inner sides are never seen."""


def look(function: str) -> str:
    """The fragment shader of one of `LOOKS`."""
    # A shader that may cut pixels away is run even where something nearer hides them.
    cut = "" if function in SOLID else "#define CUT\n"
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
