import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sedna_tinyms.errors import DatasetError
from sedna_tinyms.tinyms.data import generate_image_list, load_img, load_resized_img

PIXELS = np.random.RandomState(5).randint(0, 256, (12, 20, 3), dtype=np.uint8)


def encoded(file_format, image=None, **options):
    stream = io.BytesIO()
    (image or Image.fromarray(PIXELS)).save(stream, file_format, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("1", "p.png"),
        ("L", "p.png"),
        ("LA", "p.png"),
        ("P", "p.gif"),
        ("RGBA", "p.png"),
        ("CMYK", "p.jpg"),
        ("CMYK", "p.tif"),
        ("YCbCr", "p.tif"),
    ],
)
def test_every_mode_becomes_rgb(mode, name, tmp_path):
    Image.fromarray(PIXELS).convert(mode).save(tmp_path / name)
    loaded = load_img(tmp_path / name)
    assert loaded.mode == "RGB"
    assert loaded.size == (20, 12)


def test_sixteen_bits_keep_their_upper_eight(tmp_path):
    deep = PIXELS[..., 0].astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(
        np.asarray(load_img(tmp_path / "deep.png")), PIXELS[..., :1].repeat(3, axis=2)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_without_a_known_range_are_refused_by_name(raises, dtype, tmp_path):
    path = tmp_path / "scan.tif"
    Image.fromarray(np.full((4, 4), 70000, dtype)).save(path)
    with raises(DatasetError, "bad-picture", path=path):
        load_img(path)


def test_transparent_palettes_load(tmp_path):
    image = Image.fromarray(PIXELS).convert("P")
    image.save(tmp_path / "p.png", transparency=bytes(range(256)))
    assert load_img(tmp_path / "p.png").mode == "RGB"


def test_a_photo_taken_sideways_is_turned_upright(tmp_path):
    image = Image.fromarray(PIXELS)
    exif = image.getexif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to see it upright
    image.save(tmp_path / "sideways.png", exif=exif)
    np.testing.assert_array_equal(
        np.asarray(load_img(tmp_path / "sideways.png")), np.rot90(PIXELS, -1)
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"just text\n",
        encoded("JPEG")[:-200],
        encoded("PNG")[:60],
        encoded("BMP")[:100],
        b"\xff\xd8\xff\xe0" + b"\x00" * 50,
    ],
    ids=["empty", "text", "jpeg", "png", "bmp", "header"],
)
def test_broken_pictures_are_named(raises, request, content, tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    # What is broken in a picture of a known format, Pillow says.
    ours = request.node.callspec.id in ("empty", "text")
    with raises(DatasetError, "bad-picture", golden=ours, path=path) as raised:
        load_img(path)
    assert str(path) in str(raised.value)


def test_missing_pictures_and_directories_are_named(raises, tmp_path):
    with raises(DatasetError, "missing-file", path=tmp_path / "gone.png"):
        load_img(tmp_path / "gone.png")
    with raises(DatasetError, "not-a-file", path=tmp_path):
        load_img(tmp_path)


def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_drawn(raises, tmp_path):
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    whole = encoded("PNG")
    (tmp_path / "bomb.png").write_bytes(whole[:16] + header + whole[29:])
    with raises(DatasetError, "bad-picture", golden=False, path=tmp_path / "bomb.png"):
        load_img(tmp_path / "bomb.png")


# Pillow warns of the damage that it mends.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@settings(max_examples=150, deadline=None)
@given(data=st.data(), file_format=st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "GIF"]))
def test_damage_ends_in_a_picture_or_a_dataset_error(data, file_format, tmp_path_factory):
    content = bytearray(encoded(file_format))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.picture"
    path.write_bytes(content)
    try:
        mode = load_img(path).mode
    except DatasetError:
        return
    assert mode == "RGB"


def test_pictures_are_listed_recursively_sorted_and_up_to_a_limit(raises, tmp_path):
    for name in ("b.JPG", "deep/er/a.png", "c.tiff", "notes.txt", "d.jpg.part"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = generate_image_list(tmp_path)
    assert found == [str(tmp_path / n) for n in ("b.JPG", "c.tiff", "deep/er/a.png")]
    assert generate_image_list(tmp_path, 2) == found[:2]
    with raises(DatasetError, "missing-file", path=tmp_path / "none"):
        generate_image_list(tmp_path / "none")


def test_resizing_takes_width_and_height(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "p.png")
    assert load_resized_img(tmp_path / "p.png", width=30, height=10).size == (30, 10)
