"""TinyMS's class names for its ready transforms, in the order of the classes."""

from __future__ import annotations

__all__ = ["CIFAR10", "MUSHROOMS", "SHANSHUI", "VOC"]

CIFAR10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

# A genus, then in Chinese a species, its family, where it grows and whether it is poisonous.
MUSHROOMS = (
    "Agaricus双孢蘑菇,伞菌目,蘑菇科,蘑菇属,广泛分布于北半球温带,无毒",
    "Amanita毒蝇伞,伞菌目,鹅膏菌科,鹅膏菌属,主要分布于我国黑龙江、吉林、四川、西藏、云南等地,有毒",
    "Boletus丽柄牛肝菌,伞菌目,牛肝菌科,牛肝菌属,分布于云南、陕西、甘肃、西藏等地,有毒",
    "Cortinarius掷丝膜菌,伞菌目,丝膜菌科,丝膜菌属,分布于湖南等地(夏秋季在山毛等阔叶林地上生长)",
    "Entoloma霍氏粉褶菌,伞菌目,粉褶菌科,粉褶菌属,主要分布于新西兰北岛和南岛西部,有毒",
    "Hygrocybe浅黄褐湿伞,伞菌目,蜡伞科,湿伞属,分布于香港(见于松仔园),有毒",
    "Lactarius松乳菇,红菇目,红菇科,乳菇属,广泛分布于亚热带松林地,无毒",
    "Russula褪色红菇,伞菌目,红菇科,红菇属,分布于河北、吉林、四川、江苏、西藏等地,无毒",
    "Suillus乳牛肝菌,牛肝菌目,乳牛肝菌科,乳牛肝菌属,"
    "分布于吉林、辽宁、山西、安徽、江西、浙江、湖南、四川、贵州等地,无毒",
)

VOC = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

SHANSHUI = (
    "Background",
    "Bird_spp",
    "Blue_sheep",
    "Glovers_pika",
    "Gray_wolf",
    "Himalaya_marmot",
    "Red_fox",
    "Snow_leopard",
    "Tibetan_snowcock",
    "Upland_Buzzard",
    "White-lipped_deer",
)
