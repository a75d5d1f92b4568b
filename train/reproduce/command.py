"""`bittern reproduce`: the grid of trainings behind docs/accuracy.md, and that page from whatever of it was run."""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from train.errors import TrainError
from train.reproduce.accuracy_page import write_page
from train.reproduce.cell import result_of, run_cell
from train.reproduce.grid import Method, cells, plans
from train.run.distributed import join


def run(options: argparse.Namespace) -> int:
    """Train the cells that are asked for and were not yet, and write the page. Returns the exit status."""
    if options.jobs < 1:
        raise TrainError(f"--jobs must be at least 1, not {options.jobs}")
    join(options.device)  # a device that cannot be used is said before anything is written
    console = Console(soft_wrap=True, highlight=False)
    folder = Path(options.output or ("build/quick" if options.quick else "build/reproduce"))
    page = Path(options.page or (folder / "accuracy.md" if options.quick else "docs/accuracy.md"))
    chosen = cells(options.quick, options.task, options.bits, options.method, options.seed)
    left = [cell for cell in chosen if result_of(cell, options.quick, folder) is None]
    if options.list:
        for cell in chosen:
            console.print(f"{'to do' if cell in left else 'done ':5}  {cell.name}")
        return 0
    for task in dict.fromkeys(cell.task for cell in left):
        start = plans(options.quick)[task].start_in(folder)
        if start and not Path(start).is_dir():
            raise TrainError(
                f"{task} starts from an imported checkpoint, and there is no {start}; make it as docs/import.md says, or "
                "name other tasks with --task"
            )
    console.print(f"{len(chosen)} cells, {len(left)} to do; results in {folder / 'cells'}")
    everything = cells(options.quick)

    def write():
        write_page(everything, partial(result_of, quick=options.quick, folder=folder), options.quick, page)

    write()
    # Students share their teacher's checkpoint, so teachers come first.
    teachers = [cell for cell in left if cell.method is Method.TEACHER]
    others = [cell for cell in left if cell.method is not Method.TEACHER]
    columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("cells", total=len(left))
        for cell, result in _results([teachers, others], options, folder):
            progress.advance(bar)
            measured = result["measured"]
            shown = measured.get("integer", measured["float"])
            console.print(f"{cell.name}: {shown:.2f} in {result['seconds']:.0f} s")
            write()
    console.print(f"{page}")
    return 0


def _results(groups, options, folder):
    """Cells and their results as they come, group after group."""
    work = partial(run_cell, quick=options.quick, folder=folder, data=options.data, device=options.device)
    # The digits are too small to share: threads would wait for each other.
    threads = options.threads or (1 if options.quick else max(1, (os.cpu_count() or 1) // options.jobs))
    if options.jobs == 1:
        torch.set_num_threads(threads)
        for cell in (cell for group in groups for cell in group):
            yield cell, work(cell)
        return
    context = multiprocessing.get_context("spawn")
    for group in groups:
        with ProcessPoolExecutor(options.jobs, context, torch.set_num_threads, (threads,)) as pool:
            running = {pool.submit(work, cell): cell for cell in group}
            try:
                for done in as_completed(running):
                    yield running[done], done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
