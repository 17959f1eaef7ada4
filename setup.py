"""Hand the metadata of settings.ini, the only place for it, to setuptools."""
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

config = ConfigParser(delimiters=["="])
config.read(Path(__file__).with_name("settings.ini"), encoding="utf-8")
cfg = config["DEFAULT"]


def lines(key):
    return [line for line in cfg[key].splitlines() if line]


def extras():
    "Return the requirements of each extra, with those of the extras that it names."
    suffix = "_requirements"
    own = {key.removesuffix(suffix): lines(key) for key in cfg if key.endswith(suffix)}

    def expand(name):
        found = []
        for line in own[name]:
            parts = re.fullmatch(rf"{cfg['lib_name']}\[(.*)\]", line)
            found += [x for part in parts[1].split(",") for x in expand(part)] if parts else [line]
        return list(dict.fromkeys(found))

    return {name: expand(name) for name in own}


setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    keywords=cfg["keywords"],
    license="Apache-2.0",
    packages=find_packages(include=["rgg_shared", "rgg_shared.*"]),
    package_data={"rgg_shared.evaluation": ["*.mplstyle"], "rgg_shared.jobs": ["templates/*"]},
    python_requires=f">={cfg['min_python']},<3.13",
    install_requires=lines("requirements"),
    extras_require=extras(),
    entry_points={"console_scripts": lines("console_scripts")},
)
