import pytest


def pytest_itemcollected(item):
    """What torch's compiler warns of in its own doings, whenever it meets a stride that it has not met."""
    item.add_marker(pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"))
